//! The client processes.

pub(crate) mod direct;
pub(crate) mod group;
pub(crate) mod idle;
