//! How the store is set up.

use std::time::Duration;

/// How a [`crate::SqliteStore`] is set up. Durability is not up for choice: a write is on disk when it
/// is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SqliteConfig {
    pub(crate) readers: u32,
    pub(crate) busy_timeout: Duration,
    pub(crate) acquire_timeout: Duration,
    pub(crate) batch: usize,
    pub(crate) cache_kib: u32,
    pub(crate) max_bytes: Option<u64>,
}

impl Default for SqliteConfig {
    fn default() -> Self {
        Self {
            readers: 4,
            busy_timeout: Duration::from_secs(5),
            acquire_timeout: Duration::from_secs(5),
            batch: 512,
            cache_kib: 16 * 1024,
            max_bytes: None,
        }
    }
}

impl SqliteConfig {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Connections that read at the same time, at least 1. Defaults to 4.
    #[must_use]
    pub fn readers(mut self, readers: u32) -> Self {
        self.readers = readers.max(1);
        self
    }

    /// How long SQLite waits for a lock that another program holds on the file. Defaults to 5 s.
    #[must_use]
    pub fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.busy_timeout = timeout;
        self
    }

    /// How long a call waits for a free reader, or for room in the queue of writes, before it
    /// answers a retryable error. Defaults to 5 s.
    #[must_use]
    pub fn acquire_timeout(mut self, timeout: Duration) -> Self {
        self.acquire_timeout = timeout;
        self
    }

    /// Writes that share one commit at most, at least 1; each message counts. One call is never
    /// split. Defaults to 512.
    #[must_use]
    pub fn batch(mut self, writes: usize) -> Self {
        self.batch = writes.max(1);
        self
    }

    /// Page cache of each connection, in KiB. Defaults to 16 MiB.
    #[must_use]
    pub fn cache_kib(mut self, kib: u32) -> Self {
        self.cache_kib = kib;
        self
    }

    /// The largest the database may grow, in bytes; writes beyond answer
    /// [`parlor_core::BackendErrorKind::Full`]. Defaults to no limit but the disk's.
    #[must_use]
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = Some(bytes);
        self
    }
}
