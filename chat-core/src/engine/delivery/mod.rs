//! From a stored change to those who are connected here, in order and without a hole.

pub(in crate::engine) mod arrivals;
pub(in crate::engine) mod budget;
pub(in crate::engine) mod catchup;
pub(in crate::engine) mod codec;
pub(in crate::engine) mod fanout;
pub(in crate::engine) mod outbox;
pub(in crate::engine) mod registry;
pub(in crate::engine) mod rooms;
