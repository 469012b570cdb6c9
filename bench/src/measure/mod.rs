//! What is measured: durations, CPU, memory.

mod histogram;
mod process;
mod usage;

pub(crate) use histogram::Histogram;
pub(crate) use process::{Memory, Process};
pub(crate) use usage::{Meter, Reading};
