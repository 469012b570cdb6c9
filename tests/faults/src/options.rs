//! What the checker is asked to do.

use std::{path::PathBuf, time::Duration};

use clap::{Parser, ValueEnum};

use crate::Result;

/// Kills, freezes and cuts off the parts of a chat over three nodes, and checks that nothing was lost
#[derive(Debug, Parser)]
#[command(name = "faults")]
pub(crate) struct Options {
    /// How long clients chat, while one part after another fails
    #[arg(long, default_value_t = 600, value_parser = clap::value_parser!(u64).range(60..=86_400))]
    pub(crate) seconds: u64,
    /// How many clients, each a user with one device
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(20..=20_000))]
    pub(crate) clients: u32,
    /// Messages a second, of all clients together [default: 2 a client, at most 400]
    #[arg(long)]
    pub(crate) rate: Option<f64>,
    /// Whether the nodes compare their heads with the store. Off, the check must fail: it shows that the
    /// faults do lose events that nothing but the sweep finds
    #[arg(long, value_enum, default_value_t = Switch::On)]
    pub(crate) sweep: Switch,
    /// Where chance begins; the same seed makes the same conversations
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// The server's program [default: parlor-server beside this one]
    #[arg(long)]
    pub(crate) server: Option<PathBuf>,
}

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Switch {
    On,
    Off,
}

impl Options {
    /// How long clients chat.
    pub(crate) fn chat(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    /// The mean time between two messages of one client.
    pub(crate) fn pause(&self) -> Duration {
        let clients = f64::from(self.clients);
        let rate = self.rate.unwrap_or((2.0 * clients).min(400.0)).max(0.001);
        Duration::from_secs_f64(clients / rate)
    }

    /// The server's program.
    pub(crate) fn server(&self) -> Result<PathBuf> {
        let server = match &self.server {
            Some(server) => server.clone(),
            None => std::env::current_exe()?.with_file_name("parlor-server"),
        };
        if server.is_file() {
            return Ok(server);
        }
        let text = format!(
            "{} is not there: build it with cargo build --package parlor-server, or name another one by --server",
            server.display()
        );
        Err(text.into())
    }

    /// Refuses when the system lets a process open fewer files than this run needs.
    pub(crate) fn check_files(&self) -> Result<()> {
        // All clients may come to one node, which opens others besides.
        let needed = u64::from(self.clients) + 500;
        let Ok(limits) = std::fs::read_to_string("/proc/self/limits") else { return Ok(()) };
        let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
        let soft = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        match soft {
            Some(soft) if soft < needed => Err(format!(
                "a process may open {soft} files here, {needed} are needed: run `ulimit -n {needed}` before"
            )
            .into()),
            _ => Ok(()),
        }
    }
}
