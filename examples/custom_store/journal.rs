//! The medium: one file of JSON lines, and the tables that replaying it gives.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, Seek, Write},
    path::Path,
    sync::Arc,
};

use parlor::{BackendError, BackendErrorKind};
use tokio::sync::{RwLock, RwLockReadGuard};
use uuid::Uuid;

use crate::tables::{Row, Tables};

/// The store. Clones share one medium, so each may serve another engine.
#[derive(Debug, Clone)]
pub(crate) struct JournalStore {
    // One lock for all conversations: simple, and more than any of them needs.
    journal: Arc<RwLock<Journal>>,
}

impl JournalStore {
    /// Opens the file, making it when it is not there. A second handle on it is refused.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        file.try_lock()?;
        let mut journal = Journal { file, length: 0, tables: Tables::default(), stale: true };
        journal.recover()?;
        if journal.tables.epoch.is_nil() {
            journal.transact(|change| change.put(Row::Epoch(Uuid::new_v4())))?;
        }
        Ok(Self { journal: Arc::new(RwLock::new(journal)) })
    }

    /// What is stored, for as long as the guard is held.
    pub(crate) async fn read(
        &self,
        operation: &'static str,
    ) -> Result<RwLockReadGuard<'_, Tables>, BackendError> {
        let journal = self.journal.read().await;
        if journal.stale {
            return Err(BackendError::new(BackendErrorKind::Unavailable, operation));
        }
        Ok(RwLockReadGuard::map(journal, |journal| &journal.tables))
    }

    /// Runs a transaction and answers when it is on disk.
    ///
    /// It runs on a thread of its own: a caller who goes away while it waits for the disk cancels nothing.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&mut Transaction<'_>) -> T + Send + 'static,
    ) -> Result<T, BackendError> {
        let journal = self.journal.clone();
        let done = tokio::task::spawn_blocking(move || journal.blocking_write().transact(work));
        let done = done.await.unwrap_or_else(|panic| Err(io::Error::other(panic)));
        done.map_err(|error| {
            let kind = match error.kind() {
                io::ErrorKind::StorageFull => BackendErrorKind::Full,
                io::ErrorKind::InvalidData => BackendErrorKind::Corrupt,
                // Also when nobody knows whether the line reached the disk: "try again" is the answer then.
                _ => BackendErrorKind::Unavailable,
            };
            BackendError::new(kind, operation).with_source(error)
        })
    }
}

#[derive(Debug)]
struct Journal {
    file: File,
    /// The bytes that hold whole lines.
    length: u64,
    tables: Tables,
    /// The tables may hold what the file does not.
    stale: bool,
}

impl Journal {
    fn transact<T>(&mut self, work: impl FnOnce(&mut Transaction<'_>) -> T) -> io::Result<T> {
        if self.stale {
            self.recover()?;
        }
        // Until the line is on disk: neither an error nor a panic on the way leaves half a change behind.
        self.stale = true;
        let mut transaction = Transaction { tables: &mut self.tables, rows: Vec::new() };
        let answer = work(&mut transaction);
        let rows = transaction.rows;
        if !rows.is_empty() {
            let mut line = serde_json::to_vec(&rows)?;
            line.push(b'\n');
            self.file.write_all(&line)?;
            self.file.sync_data()?;
            self.length += line.len() as u64;
        }
        self.stale = false;
        Ok(answer)
    }

    /// Makes the tables anew from the file. A last line that was cut short was never acknowledged, and goes.
    fn recover(&mut self) -> io::Result<()> {
        // Nor was a line whose write failed, even if it seems to be there.
        if self.length > 0 {
            self.file.set_len(self.length)?;
        }
        self.file.rewind()?;
        let (mut tables, mut length, mut line) = (Tables::default(), 0, Vec::new());
        let mut reader = BufReader::new(&self.file);
        while reader.read_until(b'\n', &mut line)? > 0 && line.ends_with(b"\n") {
            let rows: Vec<Row> = serde_json::from_slice(&line)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            rows.into_iter().for_each(|row| tables.put(row));
            length += line.len() as u64;
            line.clear();
        }
        self.file.set_len(length)?;
        (self.tables, self.length, self.stale) = (tables, length, false);
        Ok(())
    }
}

/// A change in the making: rows are seen by what follows in it as soon as they are put.
pub(crate) struct Transaction<'a> {
    tables: &'a mut Tables,
    rows: Vec<Row>,
}

impl Transaction<'_> {
    /// What is stored, with what this transaction has put.
    pub(crate) fn tables(&self) -> &Tables {
        self.tables
    }

    /// Adds a row, or replaces the one with its key.
    pub(crate) fn put(&mut self, row: Row) {
        self.tables.put(row.clone());
        self.rows.push(row);
    }
}
