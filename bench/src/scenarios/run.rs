//! One run of a scenario on one system: server and generator start, the measurements are taken, and what was
//! acknowledged is compared with what is stored.

use std::time::{Duration, Instant};

use parlor_test_services::Redis;
use tokio::time::sleep;

use super::{Case, Figure, Figures, Plan, Prepared, Scenario};
use crate::{
    Result,
    child::Child,
    load::{Job, Outcome, Work},
    measure::{Memory, Meter, Reading},
    systems::{Data, Server, Settings, System},
};

/// Runs it. Returns the figures of each case, in the order of the cases.
pub(crate) async fn run(
    scenario: Scenario,
    system: System,
    plan: &Plan,
    settings: &Settings,
    prepared: &Prepared,
) -> Result<Vec<Figures>> {
    let mut all = Vec::new();
    let mut acknowledged = Vec::new();
    for case in &prepared.cases {
        let (figures, outcome) =
            measure_case(scenario, system, plan, settings, prepared, case).await?;
        acknowledged.extend(outcome.acknowledged);
        all.push(figures);
    }
    if !acknowledged.is_empty() {
        Data { system, database: &prepared.database }.check(&acknowledged).await?;
    }
    Ok(all)
}

async fn measure_case(
    scenario: Scenario,
    system: System,
    plan: &Plan,
    settings: &Settings,
    prepared: &Prepared,
    case: &Case,
) -> Result<(Figures, Outcome)> {
    let database = &prepared.database;
    let redis = prepared.redis.as_ref().filter(|_| case.nodes > 1).map(Redis::url);
    let server = Server::start(system, database, settings, case.nodes, redis).await?;
    if scenario == Scenario::Connections {
        // What a server takes at its start is not counted with its connections.
        sleep(Duration::from_secs(1)).await;
    }
    let (before, log_before) = (server.memory()?, database.log_bytes());
    let mut load = Child::role(["load"])?;
    let servers = server.addresses[..case.used].to_vec();
    let job = Job { dialect: system.dialect(), servers, work: case.work.clone() };
    load.say(&serde_json::to_string(&job)?).await?;
    let mut processes = server.processes();
    let meter = Meter {
        spare: processes.split_off(case.used),
        servers: server.processes(),
        database,
        load: load.process,
    };
    let (outcome, used) = measure(&meter, &mut load).await?;
    let mut figures = figures(&outcome, used);
    match &case.work {
        Work::Connections(connections) => {
            let idle = Idle { before, connections: connections.count, settle: plan.settle };
            figures.extend(idle.measure(&server).await?);
        }
        Work::Direct(_) => {
            let total: u64 = outcome.acknowledged.iter().map(|sent| sent.count).sum();
            let bytes = database.log_bytes() - log_before;
            if bytes > 0.0 {
                figures.insert(Figure::LogBytes, bytes / total as f64);
            }
            if case.nodes > case.used {
                let each = used.spare * 1e6 / outcome.count.max(1) as f64;
                figures.insert(Figure::SpareCpu, each);
            }
        }
        // The load is given: a high rate says no more than that somebody had fallen behind.
        Work::Presence(_) => drop(figures.remove(&Figure::Rate)),
        Work::Resume(_) => drop(figures.insert(Figure::Retries, outcome.retries as f64)),
        _ => {}
    }
    figures.insert(Figure::Memory, server.memory()?.resident as f64 / 1024.0);
    if !system.keeps_order() {
        figures.insert(Figure::Disordered, outcome.disordered as f64);
    } else if outcome.disordered > 0 {
        return Err(format!("{} messages out of order", outcome.disordered).into());
    }
    // Fails if any connection was lost meanwhile.
    load.end().await?;
    server.end().await?;
    Ok((figures, outcome))
}

async fn measure(meter: &Meter<'_>, load: &mut Child) -> Result<(Outcome, Reading)> {
    expect(load, "begin").await?;
    let before = meter.read()?;
    expect(load, "end").await?;
    let used = meter.read()?.since(before);
    Ok((serde_json::from_str(&load.line().await?)?, used))
}

async fn expect(load: &mut Child, word: &str) -> Result<()> {
    match load.line().await? {
        line if line == word => Ok(()),
        line => Err(format!("the generator said {line:?}, not {word:?}").into()),
    }
}

fn figures(outcome: &Outcome, used: Reading) -> Figures {
    let count = outcome.count.max(1) as f64;
    let latencies = &outcome.latencies;
    let mut figures = Figures::from([
        (Figure::Rate, outcome.count as f64 / outcome.seconds),
        (Figure::ServerCpu, used.server * 1e6 / count),
        (Figure::LoadCpu, used.load * 1e6 / count),
    ]);
    // The floor's frames do not say when they were asked for.
    if latencies.total() > 0 {
        let shares = [(Figure::P50, 0.5), (Figure::P99, 0.99), (Figure::P999, 0.999)];
        figures.extend(shares.map(|(figure, share)| (figure, latencies.millis(share))));
    }
    if used.database > 0.0 {
        figures.insert(Figure::DatabaseCpu, used.database * 1e6 / count);
    }
    figures
}

/// What connections cost that say nothing.
struct Idle {
    before: Memory,
    connections: usize,
    settle: Duration,
}

impl Idle {
    async fn measure(&self, server: &Server) -> Result<Figures> {
        let (cpu_before, started) = (server.cpu()?, Instant::now());
        sleep(self.settle).await;
        let after = server.memory()?;
        let idle = (server.cpu()? - cpu_before) / started.elapsed().as_secs_f64();
        let own = after.own.saturating_sub(self.before.own) as f64;
        Ok(Figures::from([
            (Figure::MemoryEach, own / self.connections as f64),
            (Figure::IdleCpu, idle * 100.0),
        ]))
    }
}
