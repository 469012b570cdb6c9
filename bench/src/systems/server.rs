//! A running server of any system.

use std::net::SocketAddr;

use tokio::process::Command;

use super::{Database, System, npm, parlor_server::SECRET};
use crate::{
    Result,
    child::Child,
    measure::{Memory, Process},
};

/// What may be set by hand, for experiments.
#[derive(Clone, Copy)]
pub(crate) struct Settings {
    /// Database connections of each peer that writes.
    pub(crate) connections: u32,
    /// Batches that parlor commits at once; as the store says by default.
    pub(crate) lanes: Option<usize>,
    /// Messages that parlor commits together at most; as its configuration says by default.
    pub(crate) batch: Option<usize>,
    /// Whether to name the server's process, for a profiler.
    pub(crate) show: bool,
}

/// A server process, or the nodes of one.
pub(crate) struct Server {
    nodes: Vec<Child>,
    pub(crate) addresses: Vec<SocketAddr>,
}

impl Server {
    /// Starts so many nodes, which meet at a Redis.
    pub(crate) async fn start(
        system: System,
        database: &Database,
        settings: &Settings,
        nodes: usize,
        redis: Option<&str>,
    ) -> Result<Self> {
        let mut server = Self { nodes: Vec::new(), addresses: Vec::new() };
        for _ in 0..nodes {
            let mut node = Child::start(command(system, database, settings, redis)?)?;
            server.addresses.push(node.line().await?.parse()?);
            if settings.show {
                println!("server process: {}", node.process);
            }
            server.nodes.push(node);
        }
        Ok(server)
    }

    /// The processes.
    pub(crate) fn processes(&self) -> Vec<Process> {
        self.nodes.iter().map(|node| node.process).collect()
    }

    /// The memory of all together.
    pub(crate) fn memory(&self) -> Result<Memory> {
        self.processes().into_iter().try_fold(Memory::default(), |sum, process| {
            let Memory { resident, own } = process.memory()?;
            Ok(Memory { resident: sum.resident + resident, own: sum.own + own })
        })
    }

    /// Seconds of CPU so far of all together.
    pub(crate) fn cpu(&self) -> Result<f64> {
        self.processes().into_iter().try_fold(0.0, |sum, process| Ok(sum + process.cpu()?))
    }

    /// Lets all end, and waits for that.
    pub(crate) async fn end(self) -> Result<()> {
        for node in self.nodes {
            node.end().await?;
        }
        Ok(())
    }
}

fn command(
    system: System,
    database: &Database,
    settings: &Settings,
    redis: Option<&str>,
) -> Result<Command> {
    let own = std::env::current_exe()?;
    let mut command = match system {
        System::Parlor | System::ParlorSqlite | System::ParlorSocketIo => {
            let mut command = Command::new(own);
            command.args(["serve", database.url()]);
            command.args(settings.lanes.map(|lanes| format!("--lanes={lanes}")));
            command.args(settings.batch.map(|batch| format!("--batch={batch}")));
            command.args(redis.map(|redis| format!("--redis={redis}")));
            command
        }
        System::Socketioxide => Command::new(own.with_file_name("bench-socketioxide")),
        System::Floor => Command::new(own.with_file_name("bench-floor")),
        System::Node | System::Nest => {
            let mut command = Command::new("node");
            command.arg(npm::prepare(system)?).env("NODE_ENV", "production");
            command
        }
    };
    command
        .env("DATABASE_URL", database.url())
        .env("DATABASE_CONNECTIONS", settings.connections.to_string())
        .env("JWT_SECRET", SECRET);
    Ok(command)
}
