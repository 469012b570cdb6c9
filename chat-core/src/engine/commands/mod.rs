//! From a command to a stored change: gate, dispatch, the verbs, group commit, the host's hooks.

pub(in crate::engine) mod committer;
pub(in crate::engine) mod cursors;
pub(in crate::engine) mod dispatch;
pub(in crate::engine) mod gate;
pub(in crate::engine) mod hooks;
pub(in crate::engine) mod lane;
pub(in crate::engine) mod verbs;
