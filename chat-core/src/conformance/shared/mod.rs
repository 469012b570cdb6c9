//! What nodes share and may lose: what every [`Bus`], [`Presence`] and [`RateLimiter`] must do, run on yours.
//!
//! Each case is one clause of the contract in [`crate::traits`]. Cases isolate themselves by fresh random ids and
//! wait by the backend's own clock, in short leases. Write a [`Fixture`] for what you bring and call
//! [`assert_conforms`] from a test on a multi-threaded tokio runtime:
//!
//! ```
//! use std::sync::Arc;
//! use parlor_core::{
//!     backends::{MemoryBus, MemoryHub},
//!     conformance::shared::{self, Fixture},
//!     traits::Bus,
//! };
//!
//! struct Hub(MemoryHub);
//!
//! #[async_trait::async_trait]
//! impl Fixture for Hub {
//!     async fn bus(&self) -> Option<Arc<dyn Bus>> {
//!         Some(Arc::new(self.0.node()))
//!     }
//! }
//!
//! # let runtime = tokio::runtime::Builder::new_multi_thread().enable_time().build().unwrap();
//! # runtime.block_on(async {
//! let report = shared::run(&Hub(MemoryBus::hub())).await;
//! assert!(report.is_ok(), "{report}");
//! # });
//! ```

mod bus;
mod catalogue;
mod presence;
mod rate;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::{Future, future::BoxFuture};
use uuid::Uuid;

use super::{Report, assert_ok, outcome};
use crate::{
    model::UserId,
    traits::{Bus, Presence, RateLimiter},
};

/// What must happen happens within this, also on a busy machine.
const SOON: Duration = Duration::from_secs(20);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// Opens the backends under test. What is not brought is not tested.
///
/// Each call opens another node on the same medium, with a value of its own where nodes have one each. The
/// suite drops it when a case ends.
#[async_trait]
pub trait Fixture: Send + Sync {
    /// Another node's bus. One without peers ([`Bus::has_peers`]) has nothing to conform to.
    async fn bus(&self) -> Option<Arc<dyn Bus>> {
        None
    }

    /// Presence as another node sees it. Leases of a second must be possible.
    async fn presence(&self) -> Option<Arc<dyn Presence>> {
        None
    }

    /// Rate limits as another node counts them.
    async fn rate_limiter(&self) -> Option<Arc<dyn RateLimiter>> {
        None
    }
}

/// The names of all cases, in the order they run.
pub fn cases() -> impl Iterator<Item = &'static str> {
    catalogue::all().into_iter().map(|case| case.name)
}

/// Runs the cases of what the fixture brings and says what became of each. A case that panics fails alone.
pub async fn run(fixture: &dyn Fixture) -> Report {
    run_matching(fixture, "").await
}

/// Runs those cases whose name contains `filter`.
pub async fn run_matching(fixture: &dyn Fixture, filter: &str) -> Report {
    let brought = [
        ("bus::", fixture.bus().await.is_some()),
        ("presence::", fixture.presence().await.is_some()),
        ("rate::", fixture.rate_limiter().await.is_some()),
    ];
    let is_brought =
        |name: &str| brought.iter().any(|(area, brought)| *brought && name.starts_with(area));
    let mut report = Report::default();
    for case in catalogue::all() {
        if case.name.contains(filter) && is_brought(case.name) {
            report.outcomes.push(outcome(case.name, (case.run)(fixture)).await);
        }
    }
    report
}

/// Runs every case of what the fixture brings, prints the list, and panics at the end when any failed.
///
/// # Panics
/// When a case failed, with all failures; and when the fixture brings nothing.
pub async fn assert_conforms(fixture: &dyn Fixture) {
    let report = run(fixture).await;
    assert!(!report.outcomes.is_empty(), "the fixture brings nothing");
    assert_ok("what nodes share", &report);
}

struct Case {
    name: &'static str,
    run: for<'a> fn(&'a dyn Fixture) -> BoxFuture<'a, ()>,
}

/// A user of nobody else's.
fn fresh_user(name: &str) -> UserId {
    UserId::new(format!("{name}-{}", Uuid::new_v4())).expect("a short name is a user id")
}

/// Looks again and again until `look` finds what it looks for.
async fn soon<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    let found = tokio::time::timeout(SOON, looking).await;
    found.unwrap_or_else(|_| panic!("not within {} s: {what}", SOON.as_secs()))
}
