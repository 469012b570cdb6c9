//! Lets many clients chat over three nodes while one part after another fails, and checks that nothing was
//! lost: real server processes, a real Postgres and Redis, real sockets. Run it by `cargo xtask faults`.

mod client;
mod cluster;
mod copy;
mod faults;
mod habits;
mod options;
mod outbox;
mod record;
mod report;
mod rest;
mod session;
mod settle;
mod socket;
mod town;
mod truth;
mod verify;
mod wire;

use std::{
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use clap::Parser;
use futures::{StreamExt, TryStreamExt, stream};
use tokio::{
    sync::watch,
    task::{JoinSet, block_in_place},
};

use crate::{
    client::{Client, Phase, World},
    cluster::Cluster,
    habits::Habits,
    options::Options,
    outbox::Outbox,
    record::{Place, Record},
    rest::Rest,
    town::Circle,
    truth::{Truth, Witness},
    verify::Wrong,
};

/// Whatever goes wrong ends the program and is shown.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Between two lines that say how things are going.
const PROGRESS: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    let options = Options::parse();
    // Few threads: the machine is the servers'.
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let passed = runtime.map_err(Into::into).and_then(|runtime| {
        runtime.block_on(async {
            tokio::select! {
                passed = run(&options) => passed,
                _ = tokio::signal::ctrl_c() => Err("interrupted".into()),
            }
        })
    });
    match passed {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("faults: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> Result<bool> {
    options.check_files()?;
    println!("starting Postgres, Redis and {} nodes", cluster::NODES);
    let mut cluster = block_in_place(|| Cluster::start(options))?;
    let outcome = chat(options, &mut cluster).await;
    if !matches!(outcome, Ok(true)) {
        println!("\nthe nodes' logs are in {}", cluster.keep_logs().display());
    }
    outcome
}

async fn chat(options: &Options, cluster: &mut Cluster) -> Result<bool> {
    let rest = Rest::new(cluster.addresses())?;
    let circles = found(options, &rest).await?;
    let (phase, seen) = watch::channel(Phase::Quiet);
    let world = World { nodes: cluster.addresses(), phase: seen };
    let (records, _clients) = connect(options, &circles, &world)?;
    settle::live(&records).await?;
    println!("{} clients in {} conversations", records.len(), circles.len());

    let began = Instant::now();
    let progress = tokio::spawn(progress(records.clone(), began));
    phase.send_replace(Phase::Chat);
    let end_of_chat = async {
        tokio::time::sleep_until((began + options.chat()).into()).await;
        phase.send_replace(Phase::Quiet);
        println!("[{:>5.1} s] nobody says anything new", began.elapsed().as_secs_f64());
    };
    let planned = faults::schedule(options.chat());
    let (happened, ()) = tokio::join!(faults::run(cluster, planned, began), end_of_chat);
    let happened = happened?;
    let caught_up = settle::settle(&records, &circles, &rest).await?;
    progress.abort();
    let mut wrong = Wrong::default();
    let since = happened.last().map_or(began, |fault| fault.until);
    see(&records, &circles, &rest, since, "the last fault", &mut wrong).await?;

    // Once more, so that nothing changes while the store is read.
    let stands_still = settle::settle(&records, &circles, &rest).await?;
    let truth = Truth::read(&rest, &circles).await?;
    let standings = truth::standings(&rest, options.clients).await?;
    verify::verify(&records, &circles, &truth, &standings, &mut wrong);
    wrong.hear(&truth, &block_in_place(|| Witness::ask(cluster))?);
    part(cluster, &phase, &records, &circles, &rest, &mut wrong).await?;

    report::faults(&happened, &records, began);
    report::totals(&records);
    match caught_up.filter(|_| stands_still.is_some()) {
        Some(took) => {
            println!("everybody had everything {:.1} s after the last fault", took.as_secs_f64())
        }
        None => println!("NOT everybody came to have everything"),
    }
    Ok(report::wrong(&wrong))
}

/// Makes the conversations.
async fn found(options: &Options, rest: &Rest) -> Result<Vec<Circle>> {
    let plan = town::plan(options.clients, options.seed).into_iter().enumerate();
    stream::iter(plan)
        .map(|(number, members)| town::found(rest, number, members))
        .buffered(16)
        .try_collect()
        .await
}

/// Starts the clients.
fn connect(
    options: &Options,
    circles: &[Circle],
    world: &World,
) -> Result<(Vec<Arc<Record>>, JoinSet<()>)> {
    let mut conversations = vec![Vec::new(); options.clients as usize];
    for circle in circles {
        for &member in &circle.members {
            conversations[member as usize].push(circle.id);
        }
    }
    let (mut records, mut clients) = (Vec::new(), JoinSet::new());
    for (number, conversations) in (0..options.clients).zip(conversations) {
        let record = Arc::new(Record::new(number));
        records.push(Arc::clone(&record));
        let client = Client {
            record,
            world: world.clone(),
            token: rest::token(number)?,
            habits: Habits::new(number, options.seed, conversations, options.pause()),
            outbox: Outbox::default(),
        };
        clients.spawn(client.run());
    }
    Ok((records, clients))
}

/// Kills a node for good, with clients on it of which some come back elsewhere and some do not, and waits
/// until everybody sees who is there.
async fn part(
    cluster: &mut Cluster,
    phase: &watch::Sender<Phase>,
    records: &[Arc<Record>],
    circles: &[Circle],
    rest: &Rest,
    wrong: &mut Wrong,
) -> Result<()> {
    let on =
        |node| records.iter().filter(|record| record.state.lock().place == Place::On(node)).count();
    let node = (0..cluster::NODES).max_by_key(|node| on(*node)).unwrap_or(0);
    println!("\nnode {} is killed for good, with {} clients on it", node + 1, on(node));
    phase.send_replace(Phase::Part(node));
    let since = Instant::now();
    block_in_place(|| cluster.node(node).kill());
    see(records, circles, rest, since, "that", wrong).await?;
    let away = records.iter().filter(|record| record.state.lock().place == Place::Away).count();
    println!("{away} of them stayed away");
    Ok(())
}

/// Waits until everybody sees who is there, for as long as leases and grace last since something happened.
async fn see(
    records: &[Arc<Record>],
    circles: &[Circle],
    rest: &Rest,
    since: Instant,
    what: &str,
    wrong: &mut Wrong,
) -> Result<()> {
    match settle::presence(records, circles, rest, since).await? {
        Ok(took) => {
            println!("everybody sees who is there {:.1} s after {what}", took.as_secs_f64())
        }
        Err(views) => wrong.presence += views,
    }
    Ok(())
}

async fn progress(records: Vec<Arc<Record>>, began: Instant) {
    loop {
        tokio::time::sleep(PROGRESS).await;
        report::progress(&records, began);
    }
}
