//! What is told and not kept: presence, typing, receipts.

pub(in crate::engine) mod people;
pub(in crate::engine) mod receipts;
pub(in crate::engine) mod typing;
