//! The open database: its file, its connections, and who in this process shares it.

use std::{
    collections::HashMap,
    fs::{File, TryLockError},
    path::{Path, PathBuf},
    sync::{
        Arc, LazyLock, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use futures::future::BoxFuture;
use parlor_core::{BackendError, BackendErrorKind};
use sqlx::{
    SqliteConnection, SqlitePool, query,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::sync::{Mutex, mpsc, watch};

use crate::{
    config::SqliteConfig,
    error::Fault,
    schema,
    writer::{Task, Writer, job},
};

/// Writes that wait; more callers wait for room.
const QUEUE: usize = 1024;

/// One open database, shared by all handles of the process.
#[derive(Debug)]
pub(crate) struct Medium {
    queue: mpsc::Sender<Task>,
    readers: SqlitePool,
    config: SqliteConfig,
    commits: Arc<AtomicU64>,
    ended: watch::Receiver<()>,
}

/// What is open in this process, by path.
struct Open {
    medium: Weak<Medium>,
    /// Changes when the writer has ended and the file is free.
    ended: watch::Receiver<()>,
}

/// An asynchronous mutex, because it stays locked while a database is opened: whoever opens the same
/// one meanwhile waits and shares it.
static REGISTRY: LazyLock<Mutex<HashMap<PathBuf, Open>>> = LazyLock::new(Mutex::default);

/// Where a database lives.
enum Place {
    Memory,
    File(PathBuf),
}

impl Medium {
    /// Opens the database, or shares the one that this process has open.
    pub(crate) async fn open(location: &str, config: SqliteConfig) -> Result<Arc<Self>, Fault> {
        let path = match place(location)? {
            Place::Memory => return Self::start(None, config).await,
            Place::File(path) => canonical(&path)?,
        };
        let mut registry = REGISTRY.lock().await;
        if let Some(open) = registry.get_mut(&path) {
            match open.medium.upgrade() {
                Some(medium) if !medium.queue.is_closed() => return Ok(medium),
                // The last handle is gone or closed: its writer finishes first.
                _ => while open.ended.changed().await.is_ok() {},
            }
        }
        // Forgets what has ended, not what is about to: its file is not free yet.
        registry.retain(|_, open| open.ended.has_changed().is_ok());
        let medium = Self::start(Some(&path), config).await?;
        let open = Open { medium: Arc::downgrade(&medium), ended: medium.ended.clone() };
        registry.insert(path, open);
        Ok(medium)
    }

    async fn start(path: Option<&Path>, config: SqliteConfig) -> Result<Arc<Self>, Fault> {
        let lock = path.map(lock).transpose()?;
        let pool = pool(1, &config).connect_with(options(path, &config)).await?;
        let mut conn = pool.acquire().await?;
        schema::migrate(&mut conn).await?;
        drop(conn);
        let readers = match path {
            // A database in memory lives in its one connection.
            None => pool.clone(),
            Some(_) => {
                let options = options(path, &config).create_if_missing(false);
                pool_of_readers(&config).connect_with(options).await?
            }
        };
        let (queue, tasks) = mpsc::channel(QUEUE);
        let (alive, ended) = watch::channel(());
        let commits = Arc::new(AtomicU64::new(0));
        let mut writer = Writer {
            queue: tasks,
            pool,
            batch: config.batch,
            commits: commits.clone(),
            in_memory: path.is_none(),
        };
        let reading = readers.clone();
        tokio::spawn(async move {
            writer.run().await;
            if !writer.in_memory {
                reading.close().await;
                checkpoint(&writer.pool).await;
            }
            writer.pool.close().await;
            // Only now may another process have the file, or this one open it again.
            drop(lock);
            drop(alive);
        });
        Ok(Arc::new(Self { queue, readers, config, commits, ended }))
    }

    /// Runs a write to its end, whatever becomes of the caller, and answers after its commit.
    pub(crate) async fn write<T, F>(
        &self,
        operation: &'static str,
        work: F,
    ) -> Result<T, BackendError>
    where
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, Fault>>
            + Send
            + 'static,
        T: Send + 'static,
    {
        let (job, answer) = job(work);
        let written = async {
            self.submit(Task::Other(job)).await?;
            answer.await.unwrap_or_else(|_| Err(Fault::closed()))
        };
        written.await.map_err(|fault| fault.during(operation))
    }

    /// Puts a write into the queue.
    pub(crate) async fn submit(&self, task: Task) -> Result<(), Fault> {
        use mpsc::error::SendTimeoutError::{Closed, Timeout};
        match self.queue.send_timeout(task, self.config.acquire_timeout).await {
            Ok(()) => Ok(()),
            Err(Closed(_)) => Err(Fault::closed()),
            Err(Timeout(_)) => {
                Err(Fault::new(BackendErrorKind::Unavailable, "too many writes are waiting"))
            }
        }
    }

    /// Reads with one statement.
    pub(crate) async fn read<T, F>(
        &self,
        operation: &'static str,
        work: F,
    ) -> Result<T, BackendError>
    where
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, Fault>>
            + Send
            + 'static,
        T: Send + 'static,
    {
        self.reading(operation, false, work).await
    }

    /// Reads with several statements that see the same state.
    pub(crate) async fn snapshot<T, F>(
        &self,
        operation: &'static str,
        work: F,
    ) -> Result<T, BackendError>
    where
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, Fault>>
            + Send
            + 'static,
        T: Send + 'static,
    {
        self.reading(operation, true, work).await
    }

    async fn reading<T, F>(
        &self,
        operation: &'static str,
        snapshot: bool,
        work: F,
    ) -> Result<T, BackendError>
    where
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, Fault>>
            + Send
            + 'static,
        T: Send + 'static,
    {
        let readers = self.readers.clone();
        // In a task of its own: a caller that goes away would leave the connection in its transaction.
        let reading = tokio::spawn(async move {
            let mut conn = readers.acquire().await?;
            if snapshot {
                query("BEGIN").execute(&mut *conn).await?;
            }
            let done = work(&mut conn).await;
            if snapshot {
                // Fails only where SQLite has ended the transaction by itself.
                let _ = query("ROLLBACK").execute(&mut *conn).await;
            }
            done
        });
        let done = reading.await.unwrap_or_else(|error| Err(Fault::interrupted(error)));
        done.map_err(|fault| fault.during(operation))
    }

    /// Finishes what waits, checkpoints and closes the file, for all handles.
    pub(crate) async fn close(&self) {
        // An error means that it is closed already.
        let _ = self.queue.send(Task::Close).await;
        let mut ended = self.ended.clone();
        while ended.changed().await.is_ok() {}
    }

    pub(crate) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    #[cfg(test)]
    pub(crate) fn readers(&self) -> &SqlitePool {
        &self.readers
    }
}

/// Understands a path, `:memory:` and `sqlite:` URLs.
fn place(location: &str) -> Result<Place, Fault> {
    let path = match location.strip_prefix("sqlite:") {
        None => location.to_owned(),
        Some(rest) if rest.trim_start_matches('/') == ":memory:" => ":memory:".to_owned(),
        Some(rest) if rest.contains('?') => {
            let reason = "a sqlite: URL takes no parameters here; use SqliteConfig";
            return Err(Fault::new(BackendErrorKind::Configuration, reason));
        }
        Some(_) => {
            let options: SqliteConnectOptions = location.parse()?;
            options.get_filename().to_string_lossy().into_owned()
        }
    };
    match path.as_str() {
        "" => Err(Fault::new(BackendErrorKind::Configuration, "the path of the database is empty")),
        ":memory:" => Ok(Place::Memory),
        _ => Ok(Place::File(PathBuf::from(path))),
    }
}

/// The one name of a file, whatever path leads to it; the file itself need not exist yet.
fn canonical(path: &Path) -> Result<PathBuf, Fault> {
    let named = || -> std::io::Result<PathBuf> {
        if path.exists() {
            return path.canonicalize();
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let name = path.file_name().ok_or(std::io::ErrorKind::InvalidInput)?;
        Ok(folder.unwrap_or(Path::new(".")).canonicalize()?.join(name))
    };
    named().map_err(|error| unusable(path, &error.to_string()))
}

fn unusable(path: &Path, why: &str) -> Fault {
    let reason = format!("cannot use the database file {}: {why}", path.display());
    Fault::new(BackendErrorKind::Configuration, reason)
}

/// Takes the file for this process. The system gives it back when the process ends, however it ends.
fn lock(path: &Path) -> Result<File, Fault> {
    let mut name = path.as_os_str().to_owned();
    name.push("-lock");
    let name = PathBuf::from(name);
    let file = File::options()
        .create(true)
        .write(true)
        .truncate(false)
        .open(&name)
        .map_err(|error| unusable(&name, &error.to_string()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(unusable(
            path,
            "another process has it open. The SQLite store serves one process at a time",
        )),
        Err(TryLockError::Error(error)) => Err(unusable(&name, &error.to_string())),
    }
}

fn options(path: Option<&Path>, config: &SqliteConfig) -> SqliteConnectOptions {
    let options = SqliteConnectOptions::new()
        .foreign_keys(true)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(config.busy_timeout)
        // Negative: KiB instead of pages.
        .pragma("cache_size", format!("-{}", config.cache_kib))
        .pragma("temp_store", "memory")
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES.to_string())
        // A page of rows without a turn of the threads in between.
        .row_buffer_size(256)
        .thread_name(|number| format!("parlor-sqlite-{number}"));
    let options = match config.max_bytes {
        None => options,
        Some(bytes) => {
            let pages = (bytes / PAGE_BYTES).max(1);
            options.page_size(PAGE_BYTES as u32).pragma("max_page_count", pages.to_string())
        }
    };
    match path {
        None => options.filename(":memory:"),
        Some(path) => {
            options.filename(path).create_if_missing(true).journal_mode(SqliteJournalMode::Wal)
        }
    }
}

/// Pages in the write-ahead log, 32 MiB of them, before they are moved into the file. Appends touch the
/// same pages of the indexes again and again: with SQLite's 1,000 they are written twice as slowly.
const CHECKPOINT_PAGES: u32 = 8000;

/// SQLite's own default.
const PAGE_BYTES: u64 = 4096;

fn pool(connections: u32, config: &SqliteConfig) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(config.acquire_timeout)
        .idle_timeout(None)
        .max_lifetime(None)
        // A file does not go away as a server does.
        .test_before_acquire(false)
}

fn pool_of_readers(config: &SqliteConfig) -> SqlitePoolOptions {
    pool(config.readers, config).after_connect(|conn, _| {
        Box::pin(async move {
            query("PRAGMA query_only = ON").execute(conn).await?;
            Ok(())
        })
    })
}

/// Moves the write-ahead log into the file, so that a copy of the file alone is whole.
async fn checkpoint(pool: &SqlitePool) {
    if let Err(error) = query("PRAGMA wal_checkpoint(TRUNCATE)").execute(pool).await {
        tracing::warn!(%error, "the last checkpoint failed; the next open recovers from the log");
    }
}
