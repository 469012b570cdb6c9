//! No rate limits, for tests and measurements.

use async_trait::async_trait;
use parlor::{
    BackendError,
    traits::{Quota, RateLimiter, Rated},
};

/// Grants everything.
#[derive(Debug)]
pub(crate) struct Unlimited;

#[async_trait]
impl RateLimiter for Unlimited {
    async fn take(&self, _: &'static str, _: &str, _: Quota) -> Result<Rated, BackendError> {
        Ok(Rated::Granted)
    }
}
