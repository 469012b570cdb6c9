//! CPU of the server, the database and the load generator over a stretch of time.

use crate::{Result, measure::Process, systems::Database};

/// Whose CPU is read.
pub(crate) struct Meter<'a> {
    pub(crate) servers: Vec<Process>,
    /// Of the servers those to which nobody is connected.
    pub(crate) spare: Vec<Process>,
    pub(crate) database: &'a Database,
    pub(crate) load: Process,
}

/// Seconds of CPU so far, or over a stretch.
#[derive(Clone, Copy)]
pub(crate) struct Reading {
    pub(crate) server: f64,
    pub(crate) spare: f64,
    /// Zero for a database inside the server.
    pub(crate) database: f64,
    pub(crate) load: f64,
}

impl Meter<'_> {
    /// Reads all.
    pub(crate) fn read(&self) -> Result<Reading> {
        Ok(Reading {
            server: sum(&self.servers)?,
            spare: sum(&self.spare)?,
            database: self.database.cpu(),
            load: self.load.cpu()?,
        })
    }
}

impl Reading {
    /// What was used after `before`.
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            server: self.server - before.server,
            spare: self.spare - before.spare,
            database: self.database - before.database,
            load: self.load - before.load,
        }
    }
}

fn sum(processes: &[Process]) -> Result<f64> {
    processes.iter().try_fold(0.0, |sum, process| Ok(sum + process.cpu()?))
}
