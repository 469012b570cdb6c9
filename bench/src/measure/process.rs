//! What Linux knows of a process.

use std::{fmt, fs, path::PathBuf};

use crate::Result;

/// Clock ticks a second in `/proc/PID/stat`: 100 on every architecture that Rust runs on.
const TICKS: f64 = 100.0;

/// A process by its id.
#[derive(Clone, Copy)]
pub(crate) struct Process {
    id: u32,
}

/// Memory, in KiB.
#[derive(Clone, Copy, Default)]
pub(crate) struct Memory {
    /// Resident, shared pages included.
    pub(crate) resident: u64,
    /// What would be free without the process.
    pub(crate) own: u64,
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
        let own = field("Private_Clean:") + field("Private_Dirty:");
        Ok(Memory { resident: field("Rss:"), own })
    }

    /// Seconds of CPU so far, in user and kernel mode, of the process and all its children, those that ended included.
    pub(crate) fn cpu(self) -> Result<f64> {
        let mut seconds = self.ended_children()?;
        let mut told = false;
        for thread in self.threads() {
            // Nanoseconds: ticks of 10 ms would be coarse for many processes that each do little.
            if let Ok(schedule) = fs::read_to_string(thread.join("schedstat")) {
                let run =
                    schedule.split_whitespace().next().and_then(|run| run.parse::<f64>().ok());
                seconds += run.ok_or("cannot read the CPU time")? / 1e9;
                told = true;
            }
            let children = fs::read_to_string(thread.join("children")).unwrap_or_default();
            for child in children.split_whitespace() {
                // One that ends now is counted with its parent the next time.
                seconds += Self::new(child.parse()?).cpu().unwrap_or(0.0);
            }
        }
        if told {
            Ok(seconds)
        } else {
            Err("the kernel does not tell the CPU time of threads".into())
        }
    }

    fn threads(self) -> Vec<PathBuf> {
        let threads = fs::read_dir(format!("/proc/{}/task", self.id));
        threads.into_iter().flatten().flatten().map(|thread| thread.path()).collect()
    }

    fn ended_children(self) -> Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.id))?;
        // The name of the program is in brackets and may hold anything.
        let (_, rest) = stat.rsplit_once(')').ok_or("cannot read the CPU time")?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let field = |place: usize| -> Result<f64> {
            Ok(fields.get(place).ok_or("cannot read the CPU time")?.parse::<f64>()? / TICKS)
        };
        Ok(field(13)? + field(14)?)
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.id.fmt(f)
    }
}
