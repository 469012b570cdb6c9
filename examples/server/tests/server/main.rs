//! The server as its users have it: a process, options, sockets, signals.

mod check;
mod configuration;
mod keys;
mod limits;
mod nodes;
mod serving;
mod stopping;
mod support;
