//! What is measured of a run.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A kind of figure. In this order they are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Figure {
    Rate,
    P50,
    P99,
    P999,
    ServerCpu,
    SpareCpu,
    DatabaseCpu,
    LogBytes,
    Memory,
    MemoryEach,
    IdleCpu,
    Retries,
    Disordered,
    LoadCpu,
}

impl Figure {
    /// The heading of a column, for figures counted by `unit`.
    pub(crate) fn heading(self, unit: &str) -> String {
        match self {
            Self::Rate => format!("{}/s", plural(unit)),
            Self::P50 => "p50 ms".into(),
            Self::P99 => "p99 ms".into(),
            Self::P999 => "p999 ms".into(),
            Self::ServerCpu => format!("server µs/{unit}"),
            Self::SpareCpu => format!("of it on nodes without members, µs/{unit}"),
            Self::DatabaseCpu => format!("database µs/{unit}"),
            Self::LogBytes => format!("WAL bytes/{unit}"),
            Self::Memory => "server MiB".into(),
            Self::MemoryEach => "KiB/connection".into(),
            Self::IdleCpu => "idle CPU %".into(),
            Self::Retries => "retries".into(),
            Self::Disordered => "out of order".into(),
            Self::LoadCpu => format!("generator µs/{unit}"),
        }
    }

    /// Whether more is better; `None` for figures that are not compared.
    pub(crate) fn more_is_better(self) -> Option<bool> {
        match self {
            Self::Rate => Some(true),
            Self::IdleCpu | Self::Retries | Self::Disordered | Self::LoadCpu => None,
            _ => Some(false),
        }
    }

    /// Whether a plot shows it.
    pub(crate) fn is_plotted(self) -> bool {
        matches!(
            self,
            Self::Rate | Self::P99 | Self::ServerCpu | Self::DatabaseCpu | Self::MemoryEach
        )
    }
}

fn plural(unit: &str) -> String {
    match unit.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None => format!("{unit}s"),
    }
}

/// The figures of one case of one run.
pub(crate) type Figures = BTreeMap<Figure, f64>;
