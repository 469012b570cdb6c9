//! What became of the rows, and how far it has come.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// A line of progress comes so often.
const EVERY: Duration = Duration::from_secs(2);
/// So many rows are named for each reason.
const NAMED: usize = 5;

/// Counts rows of one kind.
#[derive(Debug)]
pub(super) struct Report {
    what: &'static str,
    total: u64,
    imported: u64,
    present: u64,
    skipped: BTreeMap<String, Skipped>,
    since: Instant,
    took: Duration,
    last_line: Instant,
}

#[derive(Debug, Default)]
struct Skipped {
    count: u64,
    named: Vec<String>,
}

impl Report {
    /// Begins to count rows, of which the source has so many.
    pub(super) fn new(what: &'static str, total: u64) -> Self {
        println!("{what}: {total} to read");
        let now = Instant::now();
        let skipped = BTreeMap::new();
        let took = Duration::ZERO;
        Self { what, total, imported: 0, present: 0, skipped, since: now, took, last_line: now }
    }

    /// A row was stored now.
    pub(super) fn imported(&mut self) {
        self.imported += 1;
    }

    /// A row had been imported before, or is one with another.
    pub(super) fn present(&mut self) {
        self.present += 1;
    }

    /// A row cannot be imported.
    pub(super) fn skipped(&mut self, row: &str, reason: impl Into<String>) {
        let skipped = self.skipped.entry(reason.into()).or_default();
        skipped.count += 1;
        if skipped.named.len() < NAMED {
            skipped.named.push(row.chars().take(80).collect());
        }
    }

    /// Says now and then how far it has come.
    pub(super) fn progress(&mut self) {
        if self.last_line.elapsed() < EVERY {
            return;
        }
        self.last_line = Instant::now();
        let seen = self.seen();
        let percent = seen * 100 / self.total.max(1);
        let speed = seen as f64 / self.since.elapsed().as_secs_f64().max(0.001);
        println!("{}: {seen} of {} ({percent} %), {speed:.0} a second", self.what, self.total);
    }

    /// The pass is over: it took as long as until now.
    pub(super) fn finish(mut self) -> Self {
        self.took = self.since.elapsed();
        self
    }

    /// Whether every row of the source was seen.
    pub(super) fn adds_up(&self) -> bool {
        self.seen() == self.total
    }

    fn seen(&self) -> u64 {
        self.imported + self.present + self.all_skipped()
    }

    fn all_skipped(&self) -> u64 {
        self.skipped.values().map(|skipped| skipped.count).sum()
    }

    /// Says what became of all rows.
    pub(super) fn print(&self) {
        println!(
            "{}: {} in the source = {} imported + {} there already + {} skipped, in {:.1} s",
            self.what,
            self.total,
            self.imported,
            self.present,
            self.all_skipped(),
            self.took.as_secs_f64()
        );
        for (reason, Skipped { count, named }) in &self.skipped {
            println!("{} skipped, {reason}: {count} (such as {})", self.what, named.join(", "));
        }
    }
}
