//! Compares parlor with what a team would pick instead: the same work, on one machine, in one run, over real sockets and
//! on a real database. It ends by itself and leaves nothing but its results.

#[path = "../../examples/server/src/allocator.rs"]
mod allocator;
mod child;
mod compare;
mod load;
mod measure;
mod report;
mod scenarios;
mod systems;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use tokio::runtime::{Builder, Runtime};

use scenarios::{Plan, Scenario};
use systems::{Settings, System};

/// Whatever goes wrong ends the program and is shown.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Compares parlor with what a team would pick instead, and writes tables and plots
#[derive(Parser)]
#[command(name = "bench", args_conflicts_with_subcommands = true)]
struct Cli {
    /// Small and short: shows that all works, in a few minutes, and writes no results
    #[arg(long)]
    quick: bool,
    /// These scenarios alone, parted by commas
    #[arg(long, value_name = "SCENARIO", value_delimiter = ',', value_parser = scenario)]
    only: Vec<Scenario>,
    /// These systems alone, parted by commas
    #[arg(long, value_name = "SYSTEM", value_delimiter = ',', value_parser = system)]
    systems: Vec<System>,
    /// Runs of each system, in turn with the others
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Seconds of each measurement that goes on for a time
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Pages of a conversation of 10,000,000 messages too, of parlor
    #[arg(long)]
    huge: bool,
    /// Clients of the scenarios connections and resume; 10,000 by default
    #[arg(long, value_parser = clap::value_parser!(u32).range(2..=19_000))]
    clients: Option<u32>,
    /// Database connections of each peer
    #[arg(long, default_value_t = 16)]
    connections: u32,
    /// Batches that parlor commits at once; as the store says by default
    #[arg(long)]
    lanes: Option<usize>,
    /// Messages that parlor commits together at most; 512 by default
    #[arg(long)]
    batch: Option<usize>,
    /// Name the servers' processes, for a profiler
    #[arg(long)]
    show_server: bool,
    /// Where the results go; `bench/results` by default
    #[arg(long)]
    results: Option<PathBuf>,
    #[command(subcommand)]
    role: Option<Role>,
}

#[derive(Subcommand)]
enum Role {
    /// parlor's server
    #[command(hide = true)]
    Serve {
        database: String,
        #[arg(long)]
        lanes: Option<usize>,
        #[arg(long)]
        batch: Option<usize>,
        #[arg(long)]
        redis: Option<String>,
    },
    /// The load generator
    #[command(hide = true)]
    Load,
}

fn scenario(name: &str) -> std::result::Result<Scenario, String> {
    let names = Scenario::ALL.map(Scenario::name).join(", ");
    let found = Scenario::ALL.into_iter().find(|scenario| scenario.name() == name);
    found.ok_or(format!("one of {names}"))
}

fn system(name: &str) -> std::result::Result<System, String> {
    let names = System::ALL.map(System::name).join(", ");
    System::named(name).ok_or(format!("one of {names}"))
}

fn main() -> ExitCode {
    let done = match Cli::parse() {
        Cli { role: Some(Role::Serve { database, lanes, batch, redis }), .. } => {
            let serve = systems::serve_parlor(&database, lanes, batch, redis.as_deref());
            Runtime::new().map_err(Into::into).and_then(|all| all.block_on(serve))
        }
        // One thread: it must leave the machine to the server.
        Cli { role: Some(Role::Load), .. } => Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Into::into)
            .and_then(|one| one.block_on(load::run())),
        cli => Runtime::new().map_err(Into::into).and_then(|all| all.block_on(compare(cli))),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn compare(cli: Cli) -> Result<()> {
    let mut plan = if cli.quick { Plan::quick() } else { Plan::full(cli.seconds, cli.huge) };
    if let Some(clients) = cli.clients {
        // Pairs.
        plan.connections = clients as usize / 2 * 2;
    }
    let all =
        |chosen: Vec<Scenario>| if chosen.is_empty() { Scenario::ALL.to_vec() } else { chosen };
    let systems = if cli.systems.is_empty() { System::ALL.to_vec() } else { cli.systems };
    let results = match (cli.results, cli.quick) {
        (Some(folder), _) => Some(folder),
        (None, true) => None,
        (None, false) => Some(report::folder()),
    };
    let comparison = compare::Comparison {
        scenarios: all(cli.only),
        systems,
        runs: if cli.quick { 1 } else { cli.runs.max(1) },
        plan,
        settings: Settings {
            connections: cli.connections,
            lanes: cli.lanes,
            batch: cli.batch,
            show: cli.show_server,
        },
    };
    compare::run(comparison, results.as_deref()).await
}
