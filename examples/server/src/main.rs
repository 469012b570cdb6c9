//! A chat server.

fn main() {}
