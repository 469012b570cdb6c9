//! How the store is set up.

use std::time::Duration;

/// How a [`crate::PostgresStore`] is set up. Durability is not up for choice: a write is on disk when it is
/// answered.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PostgresConfig {
    pub(crate) schema: String,
    pub(crate) migrate: bool,
    pub(crate) connections: u32,
    pub(crate) acquire_timeout: Duration,
    pub(crate) lock_timeout: Duration,
    pub(crate) lanes: usize,
}

impl Default for PostgresConfig {
    fn default() -> Self {
        Self {
            schema: crate::schema::DEFAULT.to_owned(),
            migrate: true,
            connections: 10,
            acquire_timeout: Duration::from_secs(5),
            lock_timeout: Duration::from_secs(5),
            lanes: 1,
        }
    }
}

impl PostgresConfig {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// The schema that everything lives in: 1 to 63 letters, digits and underscores of ASCII, lower case, not
    /// beginning with a digit or `pg_`. Several stores may live in one database under several names. Defaults to
    /// `parlor`.
    #[must_use]
    pub fn schema(mut self, name: impl Into<String>) -> Self {
        self.schema = name.into();
        self
    }

    /// Whether opening brings the schema up to date. Without it a schema that is missing or older is an error
    /// that says so; see [`crate::schema_sql`] for roles that may not create tables. Defaults to true.
    #[must_use]
    pub fn migrate(mut self, migrate: bool) -> Self {
        self.migrate = migrate;
        self
    }

    /// Connections of a store opened by URL, at least 1; a pool of the host's own stays as it is. Defaults to 10.
    #[must_use]
    pub fn connections(mut self, connections: u32) -> Self {
        self.connections = connections.max(1);
        self
    }

    /// How long a call waits for a free connection of a store opened by URL before it answers a retryable error;
    /// a pool of the host's own has its own timeout. Defaults to 5 s.
    #[must_use]
    pub fn acquire_timeout(mut self, timeout: Duration) -> Self {
        self.acquire_timeout = timeout;
        self
    }

    /// How long a write waits for a conversation that somebody else has locked, such as a transaction of the
    /// host's own, before it answers a retryable error. Those who wait take a quarter of the pool at most. At least
    /// 1 ms. Defaults to 5 s.
    #[must_use]
    pub fn lock_timeout(mut self, timeout: Duration) -> Self {
        self.lock_timeout = timeout.max(Duration::from_millis(1));
        self
    }

    /// Batches of messages that the engine commits at once, each of its own conversations, at least 1. Each takes
    /// a connection, and together no more than half of the pool's. Defaults to 1: while it commits, the next batch
    /// gathers, and the larger a batch is, the less a message of it costs. More are for a single node that is to store
    /// more than one connection of the database can, tens of thousands a second, where the database has cores to spare.
    #[must_use]
    pub fn lanes(mut self, lanes: usize) -> Self {
        self.lanes = lanes.max(1);
        self
    }
}
