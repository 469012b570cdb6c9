//! The client processes.

pub(crate) mod direct;
pub(crate) mod idle;
