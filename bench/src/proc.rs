//! What Linux knows of a process.

use std::{fmt, fs};

use crate::Result;

/// Clock ticks a second in `/proc/PID/stat`: 100 on every architecture that Rust runs on.
const TICKS: f64 = 100.0;

/// A process by its id.
#[derive(Clone, Copy)]
pub(crate) struct Process {
    id: u32,
}

/// Memory of a process, in KiB.
#[derive(Clone, Copy)]
pub(crate) struct Memory {
    /// Resident, shared pages included.
    pub(crate) rss: u64,
    /// Shared pages counted in part.
    pub(crate) pss: u64,
    /// What would be free without the process.
    pub(crate) uss: u64,
}

impl Process {
    pub(crate) fn new(id: u32) -> Self {
        Self { id }
    }

    pub(crate) fn memory(self) -> Result<Memory> {
        let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.id))?;
        let field = |name: &str| -> u64 {
            let of = |line: &str| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok();
            rollup.lines().find_map(of).unwrap_or(0)
        };
        let uss = field("Private_Clean:") + field("Private_Dirty:");
        Ok(Memory { rss: field("Rss:"), pss: field("Pss:"), uss })
    }

    /// Seconds of CPU so far, in user and kernel mode.
    pub(crate) fn cpu(self) -> Result<Cpu> {
        self.read_cpu(false)
    }

    /// The same with that of its children that have ended.
    pub(crate) fn cpu_with_ended_children(self) -> Result<Cpu> {
        self.read_cpu(true)
    }

    fn read_cpu(self, children: bool) -> Result<Cpu> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.id))?;
        // The name of the program is in brackets and may hold anything.
        let (_, rest) = stat.rsplit_once(')').ok_or("cannot read the CPU time")?;
        let mut fields = rest.split_whitespace().skip(11);
        let mut next = || -> Result<f64> {
            Ok(fields.next().ok_or("cannot read the CPU time")?.parse::<f64>()? / TICKS)
        };
        let own = Cpu { user: next()?, system: next()? };
        let ended = Cpu { user: next()?, system: next()? };
        Ok(if children { own.plus(ended) } else { own })
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.id.fmt(f)
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rss, pss, uss } = self;
        write!(f, "RSS {rss} KiB, PSS {pss} KiB, USS {uss} KiB")
    }
}

/// CPU time in seconds.
#[derive(Clone, Copy)]
pub(crate) struct Cpu {
    pub(crate) user: f64,
    pub(crate) system: f64,
}

impl Cpu {
    pub(crate) fn since(self, before: Self) -> Self {
        Self { user: self.user - before.user, system: self.system - before.system }
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        Self { user: self.user + other.user, system: self.system + other.system }
    }

    pub(crate) fn total(self) -> f64 {
        self.user + self.system
    }
}

impl fmt::Display for Cpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} s (user {:.2}, kernel {:.2})", self.total(), self.user, self.system)
    }
}
