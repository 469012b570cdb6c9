//! The one writer: writes that wait together share one commit.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use futures::future::BoxFuture;
use sqlx::{Sqlite, SqliteConnection, SqlitePool, pool::PoolConnection, query};
use tokio::sync::{mpsc, oneshot};

use crate::{append::AppendJob, error::Fault};

/// A write that waits for its turn.
pub(crate) enum Task {
    /// Messages to append: all that wait together are appended together.
    Append(AppendJob),
    /// Any other write.
    Other(Box<dyn Job>),
    /// Finish what came before and end.
    Close,
}

/// A write of any kind: it runs inside a transaction and is answered after the commit.
pub(crate) trait Job: Send {
    /// Does the work; an error undoes this job alone.
    fn run<'c>(&'c mut self, conn: &'c mut SqliteConnection) -> BoxFuture<'c, Result<(), Fault>>;

    /// Hands out what [`Job::run`] made, or why there is nothing.
    fn answer(self: Box<Self>, outcome: Result<(), Fault>);
}

/// A [`Job`] made of a closure.
struct Work<F, T> {
    work: Option<F>,
    done: Option<T>,
    reply: oneshot::Sender<Result<T, Fault>>,
}

/// Makes a job of a closure, and the receiver of its answer.
pub(crate) fn job<F, T>(work: F) -> (Box<dyn Job>, oneshot::Receiver<Result<T, Fault>>)
where
    F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, Fault>> + Send + 'static,
    T: Send + 'static,
{
    let (reply, answer) = oneshot::channel();
    (Box::new(Work { work: Some(work), done: None, reply }), answer)
}

impl<F, T> Job for Work<F, T>
where
    F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, Fault>> + Send,
    T: Send,
{
    fn run<'c>(&'c mut self, conn: &'c mut SqliteConnection) -> BoxFuture<'c, Result<(), Fault>> {
        Box::pin(async move {
            if let Some(work) = self.work.take() {
                self.done = Some(work(conn).await?);
            }
            Ok(())
        })
    }

    fn answer(self: Box<Self>, outcome: Result<(), Fault>) {
        let Self { done, reply, .. } = *self;
        // Who has gone away asks for no answer.
        let _ = match (outcome, done) {
            (Ok(()), Some(done)) => reply.send(Ok(done)),
            (Err(fault), _) => reply.send(Err(fault)),
            (Ok(()), None) => reply.send(Err(Fault::closed())),
        };
    }
}

/// Takes writes from the queue until it is closed, and commits them in batches.
pub(crate) struct Writer {
    pub(crate) queue: mpsc::Receiver<Task>,
    /// A pool of one, which opens the connection again when it broke.
    pub(crate) pool: SqlitePool,
    /// The most writes in one commit.
    pub(crate) batch: usize,
    pub(crate) commits: Arc<AtomicU64>,
    /// Whether the database lives in its connection, which is kept whatever happens then.
    pub(crate) in_memory: bool,
}

/// Everything that shares one commit.
#[derive(Default)]
struct Batch {
    appends: Vec<AppendJob>,
    others: Vec<Box<dyn Job>>,
}

impl Batch {
    fn answer(self, fault: &Fault) {
        for job in self.appends {
            job.answer(Err(fault.clone()));
        }
        for job in self.others {
            job.answer(Err(fault.clone()));
        }
    }
}

impl Writer {
    /// Runs until all handles are gone or [`Task::Close`] comes, and finishes what waits then.
    pub(crate) async fn run(&mut self) {
        while let Some(first) = self.queue.recv().await {
            let batch = self.gather(first);
            self.commit(batch).await;
        }
    }

    /// Takes what waits, without waiting for more.
    fn gather(&mut self, first: Task) -> Batch {
        let mut batch = Batch::default();
        let mut weight = 0;
        let mut next = Some(first);
        while let Some(task) = next {
            match task {
                Task::Append(job) => {
                    weight += job.len();
                    batch.appends.push(job);
                }
                Task::Other(job) => {
                    weight += 1;
                    batch.others.push(job);
                }
                // What is in the queue already still comes out of it.
                Task::Close => self.queue.close(),
            }
            next = if weight < self.batch { self.queue.try_recv().ok() } else { None };
        }
        batch
    }

    async fn commit(&mut self, mut batch: Batch) {
        if batch.appends.is_empty() && batch.others.is_empty() {
            return;
        }
        let mut conn = match self.begin().await {
            Ok(conn) => conn,
            Err(fault) => return batch.answer(&fault),
        };
        match transact(&mut conn, &mut batch).await {
            Ok(outcomes) => {
                self.commits.fetch_add(1, Ordering::Relaxed);
                for job in batch.appends {
                    job.answer(Ok(()));
                }
                for (job, outcome) in batch.others.into_iter().zip(outcomes) {
                    job.answer(outcome);
                }
            }
            Err(fault) => {
                tracing::warn!(error = %fault.clone().during("commit"), "a batch of writes was undone");
                // SQLite may have rolled back by itself; then there is nothing left to roll back.
                let _ = query("ROLLBACK").execute(&mut *conn).await;
                if !self.in_memory {
                    let _ = conn.close().await;
                }
                batch.answer(&fault);
            }
        }
    }

    async fn begin(&self) -> Result<PoolConnection<Sqlite>, Fault> {
        let mut conn = self.pool.acquire().await?;
        // A deferred transaction that turns into a writing one gets SQLITE_BUSY without a wait.
        query("BEGIN IMMEDIATE").execute(&mut *conn).await?;
        Ok(conn)
    }
}

/// Runs the batch and commits it. An outcome for each job of `others`; appends answer for themselves.
///
/// An error means that the whole transaction is gone, or that nobody knows.
async fn transact(
    conn: &mut SqliteConnection,
    batch: &mut Batch,
) -> Result<Vec<Result<(), Fault>>, Fault> {
    if !batch.appends.is_empty() {
        crate::append::run(conn, &mut batch.appends).await?;
    }
    let mut outcomes = Vec::with_capacity(batch.others.len());
    for job in &mut batch.others {
        savepoint(conn).await?;
        let done = job.run(conn).await;
        outcomes.push(settle(conn, done).await?);
    }
    query("COMMIT").execute(conn).await.map_err(|error| Fault::from(error).at_commit())?;
    Ok(outcomes)
}

/// Begins a part of a transaction that [`settle`] undoes alone when it fails.
pub(crate) async fn savepoint(conn: &mut SqliteConnection) -> Result<(), Fault> {
    query("SAVEPOINT part").execute(conn).await?;
    Ok(())
}

/// Ends the part. The outer error means that the transaction itself is gone.
pub(crate) async fn settle<T>(
    conn: &mut SqliteConnection,
    done: Result<T, Fault>,
) -> Result<Result<T, Fault>, Fault> {
    if let Err(fault) = &done {
        // After a full disk or an I/O error SQLite may have rolled everything back: no savepoint then.
        query("ROLLBACK TO part").execute(&mut *conn).await.map_err(|_| fault.clone())?;
    }
    query("RELEASE part").execute(conn).await?;
    Ok(done)
}
