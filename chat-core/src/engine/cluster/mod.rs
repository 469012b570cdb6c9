//! What nodes say to each other over the bus.

pub(in crate::engine) mod publisher;
pub(in crate::engine) mod relay;
pub(in crate::engine) mod topics;
pub(in crate::engine) mod wire;
