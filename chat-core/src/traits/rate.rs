use std::{fmt::Debug, time::Duration};

use async_trait::async_trait;

use crate::BackendError;

/// How much is granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Quota {
    /// Units a second, at least 1.
    pub per_second: u32,
    /// Units that may come at once, at least 1.
    pub burst: u32,
}

impl Quota {
    /// A quota; zeros count as 1.
    pub const fn new(per_second: u32, burst: u32) -> Self {
        Self {
            per_second: if per_second == 0 { 1 } else { per_second },
            burst: if burst == 0 { 1 } else { burst },
        }
    }
}

/// What a limiter says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rated {
    /// Go on.
    Granted,
    /// Not before this time has passed.
    RetryAfter(Duration),
}

/// Counts what callers do (GCRA: a refused unit costs nothing).
#[async_trait]
pub trait RateLimiter: Debug + Send + Sync + 'static {
    /// Takes one unit of the quota `class` for `key`.
    async fn take(
        &self,
        class: &'static str,
        key: &str,
        quota: Quota,
    ) -> Result<Rated, BackendError>;
}
