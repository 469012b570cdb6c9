//! Connected devices: connecting, catching up, and permissions that change meanwhile.

pub(in crate::engine) mod access;
pub(in crate::engine) mod resume;
pub(in crate::engine) mod session;
