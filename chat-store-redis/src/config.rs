//! How the backends are set up.

use std::{fmt, time::Duration};

use crate::error::Fault;

/// How [`crate::RedisBackends`] are set up.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RedisConfig {
    pub(crate) prefix: String,
    pub(crate) response_timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) last_seen: Duration,
    pub(crate) incoming_bytes: usize,
    pub(crate) store_deadline: Duration,
    pub(crate) root_certificates: Option<Vec<u8>>,
}

impl Default for RedisConfig {
    fn default() -> Self {
        Self {
            prefix: "parlor".to_owned(),
            response_timeout: Duration::from_millis(500),
            connect_timeout: Duration::from_secs(2),
            last_seen: Duration::from_secs(30 * 24 * 60 * 60),
            incoming_bytes: 16 * 1024 * 1024,
            store_deadline: Duration::from_secs(4),
            root_certificates: None,
        }
    }
}

impl RedisConfig {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// What the names of all keys and channels begin with: 1 to 64 letters, digits and `_`, `-`, `.`, `:`.
    /// Two chats on one Redis need two prefixes, also in two of its databases, because channels belong
    /// to none. Defaults to `parlor`.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// How long a call waits for Redis before it answers a retryable error, and a rate limit its local
    /// count; at least 1 ms. Defaults to 500 ms.
    #[must_use]
    pub fn response_timeout(mut self, timeout: Duration) -> Self {
        self.response_timeout = timeout.max(Duration::from_millis(1));
        self
    }

    /// How long one attempt to connect may take, with TLS and authentication; at least 1 ms. Defaults to 2 s.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout.max(Duration::from_millis(1));
        self
    }

    /// How long it is remembered when somebody was last seen. Defaults to 30 days.
    #[must_use]
    pub fn last_seen(mut self, period: Duration) -> Self {
        self.last_seen = period;
        self
    }

    /// How much may wait on a bus for the engine to read it, in bytes. What comes beyond is dropped with all
    /// that waits, and the engine catches up from the store. Defaults to 16 MiB.
    #[must_use]
    pub fn incoming_bytes(mut self, bytes: usize) -> Self {
        self.incoming_bytes = bytes;
        self
    }

    /// How long a [remote store](crate::RedisBackends::remote_store) waits for an answer before it answers a
    /// retryable error; at least 100 ms. Within it a question that nobody answers is asked four times.
    /// Defaults to 4 s.
    #[must_use]
    pub fn store_deadline(mut self, deadline: Duration) -> Self {
        self.store_deadline = deadline.max(Duration::from_millis(100));
        self
    }

    /// The certificates, as PEM, that the server's must be signed by when the URL is `rediss://`.
    /// Defaults to the public ones of the web.
    #[must_use]
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.root_certificates = Some(pem.into());
        self
    }

    pub(crate) fn check(&self) -> Result<(), Fault> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "_-.:".contains(c);
        if !(1..=64).contains(&self.prefix.len()) || !self.prefix.chars().all(allowed) {
            return Err(Fault::configuration(
                "prefix: takes 1 to 64 letters, digits and the characters _ - . :",
            ));
        }
        Ok(())
    }
}

impl fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisConfig")
            .field("prefix", &self.prefix)
            .field("response_timeout", &self.response_timeout)
            .field("connect_timeout", &self.connect_timeout)
            .field("last_seen", &self.last_seen)
            .field("incoming_bytes", &self.incoming_bytes)
            .field("store_deadline", &self.store_deadline)
            .finish_non_exhaustive()
    }
}
