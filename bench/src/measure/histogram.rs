//! Percentiles of many durations in little memory.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

/// Steps between a power of two and the next: durations are kept to within 1 / 128.
const STEPS: u32 = 7;

/// Counts durations, in microseconds.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub(crate) struct Histogram {
    counts: BTreeMap<u32, u64>,
    total: u64,
}

impl Histogram {
    /// Counts one.
    pub(crate) fn record(&mut self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        *self.counts.entry(bucket(micros)).or_default() += 1;
        self.total += 1;
    }

    /// Counts all that another one has counted.
    pub(crate) fn add(&mut self, other: &Self) {
        for (bucket, count) in &other.counts {
            *self.counts.entry(*bucket).or_default() += count;
        }
        self.total += other.total;
    }

    /// How many were counted.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// The duration below which `share` of all lie, in milliseconds; zero when there are none.
    pub(crate) fn millis(&self, share: f64) -> f64 {
        let place = (self.total as f64 * share) as u64;
        let mut before = 0;
        for (bucket, count) in &self.counts {
            before += count;
            if before > place {
                return middle(*bucket) / 1000.0;
            }
        }
        self.counts.last_key_value().map_or(0.0, |(bucket, _)| middle(*bucket) / 1000.0)
    }
}

/// Small values have buckets of their own; above, each power of two is divided into equal steps.
fn bucket(micros: u64) -> u32 {
    let bits = 64 - micros.leading_zeros();
    let shift = bits.saturating_sub(STEPS + 1);
    (shift << STEPS) + (micros >> shift) as u32
}

fn middle(bucket: u32) -> f64 {
    let shift = (bucket >> STEPS).saturating_sub(1);
    let start = u64::from(bucket - (shift << STEPS)) << shift;
    start as f64 + ((1_u64 << shift) - 1) as f64 / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_exact_for_small_values_and_close_for_large_ones() {
        let mut histogram = Histogram::default();
        for micros in 1..=100_000 {
            histogram.record(Duration::from_micros(micros));
        }
        for (share, micros) in [(0.5, 50_000.0), (0.99, 99_000.0), (0.001, 101.0)] {
            let found = histogram.millis(share) * 1000.0;
            assert!((found - micros).abs() / micros < 0.01, "{share}: {found}, not {micros}");
        }
        assert_eq!(histogram.total(), 100_000);
    }

    #[test]
    fn two_add_up_and_none_is_zero() {
        let (mut one, mut other) = (Histogram::default(), Histogram::default());
        assert_eq!(one.millis(0.5), 0.0);
        one.record(Duration::from_micros(10));
        other.record(Duration::from_micros(30));
        one.add(&other);
        assert_eq!((one.total(), one.millis(0.0), one.millis(0.5)), (2, 0.01, 0.03));
    }
}
