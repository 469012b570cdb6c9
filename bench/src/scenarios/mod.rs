//! The scenarios: what is asked of every system, and what is measured.

mod figures;
mod plan;
mod prepare;
mod run;

pub(crate) use figures::{Figure, Figures};
pub(crate) use plan::Plan;
pub(crate) use prepare::{Case, Prepared, prepare};
pub(crate) use run::run;

use crate::systems::System;

/// A scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scenario {
    Direct,
    FanoutOne,
    FanoutMany,
    Connections,
    Resume,
    History,
    Conversations,
    Presence,
    Nodes,
}

impl Scenario {
    /// All, in the order in which they run.
    pub(crate) const ALL: [Self; 9] = [
        Self::Direct,
        Self::FanoutOne,
        Self::FanoutMany,
        Self::Connections,
        Self::Resume,
        Self::History,
        Self::Conversations,
        Self::Presence,
        Self::Nodes,
    ];

    /// The name on the command line and of the files of results.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::FanoutOne => "fanout-1x1000",
            Self::FanoutMany => "fanout-10x100",
            Self::Connections => "connections",
            Self::Resume => "resume",
            Self::History => "history",
            Self::Conversations => "conversations",
            Self::Presence => "presence",
            Self::Nodes => "nodes",
        }
    }

    /// What one counts: the CPU is told by this.
    pub(crate) fn unit(self) -> &'static str {
        match self {
            Self::Direct | Self::Nodes => "message",
            Self::FanoutOne | Self::FanoutMany => "delivery",
            Self::Connections => "connect",
            Self::Resume => "client",
            Self::History | Self::Conversations => "page",
            Self::Presence => "change",
        }
    }

    /// Who can do it.
    pub(crate) fn systems(self) -> Vec<System> {
        let able = |system: &System| match (self, system) {
            (Self::FanoutOne | Self::FanoutMany, _) => *system != System::ParlorSqlite,
            (_, System::Floor) => false,
            // The peers have no catching up, and are one process.
            (Self::Resume | Self::Nodes, system) => *system == System::Parlor,
            (Self::Direct, _) => true,
            (_, system) => *system != System::ParlorSqlite,
        };
        System::ALL.into_iter().filter(able).collect()
    }

    /// Whether a database that was filled once serves all runs, because nothing is written.
    pub(crate) fn only_reads(self) -> bool {
        matches!(self, Self::History | Self::Conversations | Self::Resume)
    }
}
