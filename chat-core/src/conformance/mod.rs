//! The conformance suite: what every [`Store`] must do, run on yours. What every [`Bus`](crate::traits::Bus),
//! [`Presence`](crate::traits::Presence) and [`RateLimiter`](crate::traits::RateLimiter) must do is in [`shared`].
//!
//! Each case is one clause of the contract in [`crate::store`]. Cases isolate themselves by fresh random
//! ids and delete nothing, so that they can run on a database that holds other things. Write a
//! [`Fixture`] and call [`assert_conforms`] from a test on a multi-threaded tokio runtime:
//!
//! ```
//! use std::sync::Arc;
//! use parlor_core::{backends::MemoryStore, conformance::{self, Fixture}, store::Store};
//!
//! struct Memory(MemoryStore);
//!
//! #[async_trait::async_trait]
//! impl Fixture for Memory {
//!     async fn open(&self) -> Arc<dyn Store> {
//!         Arc::new(self.0.clone())
//!     }
//! }
//!
//! # let runtime = tokio::runtime::Builder::new_multi_thread().enable_time().build().unwrap();
//! # runtime.block_on(async {
//! let report = conformance::run(&Memory(MemoryStore::new())).await;
//! assert!(report.is_ok(), "{report}");
//! # });
//! ```
#![expect(clippy::expect_used, reason = "a test suite fails by panicking")]

/// Names each case after its area and function, in the order they run.
macro_rules! cases {
    ($($area:ident { $($case:ident,)* })*) => {
        vec![$($(Case {
            name: concat!(stringify!($area), "::", stringify!($case)),
            run: |nodes| Box::pin(super::$area::$case(nodes)),
        },)*)*]
    };
}

mod append;
mod catalogue;
mod changes;
mod content;
mod create;
mod cursors;
mod history;
mod keys;
mod lists;
mod members;
mod model;
mod private;
mod random;
mod revise;
mod rules;
pub mod shared;
mod world;

use std::{any::Any, fmt, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::{FutureExt, future::BoxFuture};

use crate::store::Store;

/// A case that takes longer than this has failed: a lock that is never let go must not hang the suite.
const CASE_DEADLINE: Duration = Duration::from_secs(120);

/// Opens the backend under test.
#[async_trait]
pub trait Fixture: Send + Sync {
    /// Opens another node on the same medium: what one node stored every other one sees at once.
    ///
    /// The suite opens two. A backend that allows one handle alone answers with the same one again.
    async fn open(&self) -> Arc<dyn Store>;
}

/// What became of one case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The case's name: the area of the contract and the clause.
    pub case: &'static str,
    /// Why it failed; `None` when it did not.
    pub failure: Option<String>,
}

/// What became of all cases. Written as a list, one line a case.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// One for each case, in the order they ran.
    pub outcomes: Vec<Outcome>,
}

impl Report {
    /// Whether no case failed.
    pub fn is_ok(&self) -> bool {
        self.failures().next().is_none()
    }

    /// The cases that failed.
    pub fn failures(&self) -> impl Iterator<Item = &Outcome> {
        self.outcomes.iter().filter(|outcome| outcome.failure.is_some())
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.failure {
            None => write!(f, "{} ... ok", self.case),
            Some(failure) => write!(f, "{} ... FAILED: {failure}", self.case),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for outcome in &self.outcomes {
            writeln!(f, "{outcome}")?;
        }
        let failed = self.failures().count();
        write!(f, "{} cases, {failed} failed", self.outcomes.len())
    }
}

/// The names of all cases, in the order they run.
pub fn cases() -> impl Iterator<Item = &'static str> {
    catalogue::all().into_iter().map(|case| case.name)
}

/// Runs every case and says what became of each. A case that panics fails alone.
///
/// The environment variable `PARLOR_MODEL_SEED` replays one seed of the random cases.
pub async fn run(fixture: &dyn Fixture) -> Report {
    run_matching(fixture, "").await
}

/// Runs the cases whose name contains `filter`.
pub async fn run_matching(fixture: &dyn Fixture, filter: &str) -> Report {
    let nodes = Nodes { one: fixture.open().await, other: fixture.open().await };
    let mut report = Report::default();
    for case in catalogue::all().into_iter().filter(|case| case.name.contains(filter)) {
        report.outcomes.push(outcome(case.name, (case.run)(&nodes)).await);
    }
    report
}

/// Runs every case, prints the list, and panics at the end when any failed.
///
/// # Panics
/// When a case failed, with all failures.
pub async fn assert_conforms(fixture: &dyn Fixture) {
    assert_ok("the store", &run(fixture).await);
}

fn assert_ok(what: &str, report: &Report) {
    println!("{report}");
    let failures: Vec<String> = report.failures().map(ToString::to_string).collect();
    assert!(failures.is_empty(), "{what} does not conform:\n{}", failures.join("\n"));
}

/// Runs one case to its end, its panic, or the deadline.
async fn outcome(case: &'static str, running: BoxFuture<'_, ()>) -> Outcome {
    let running = AssertUnwindSafe(running).catch_unwind();
    let failure = match tokio::time::timeout(CASE_DEADLINE, running).await {
        Ok(Ok(())) => None,
        Ok(Err(panic)) => Some(message(panic.as_ref())),
        Err(_) => Some(format!("not done after {} s", CASE_DEADLINE.as_secs())),
    };
    Outcome { case, failure }
}

/// Two nodes on one medium.
struct Nodes {
    one: Arc<dyn Store>,
    other: Arc<dyn Store>,
}

struct Case {
    name: &'static str,
    run: for<'a> fn(&'a Nodes) -> BoxFuture<'a, ()>,
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
    text.unwrap_or_else(|| "panicked".to_owned())
}
