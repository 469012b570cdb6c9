//! Time of a page of history, and of the conversation list.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use clap::Args;
use parlor::{
    Caller,
    command::ListConversations,
    model::{ConversationId, Identity, UserId},
    store::{HistoryQuery, Page, Store},
};

use crate::{
    Result,
    database::{self, Choice},
    fill, server,
    stats::Sorted,
};

#[derive(Args)]
pub(crate) struct Options {
    /// Messages of the short conversation
    #[arg(long, default_value_t = 1000)]
    short: usize,
    /// Messages of the long conversation
    #[arg(long, default_value_t = 1_000_000)]
    long: usize,
    /// Conversations of the user whose list is read
    #[arg(long, default_value_t = 5000)]
    conversations: usize,
    /// Runs of each measurement
    #[arg(long, default_value_t = 2000)]
    runs: usize,
    #[command(flatten)]
    database: Choice,
}

/// Messages of a page.
const PAGE: usize = 50;

/// Two conversations, short and long, and their sizes.
type Two = [(ConversationId, usize); 2];

/// Fills a database in the directory for temporary files and reads it.
pub(crate) async fn run(options: Options) -> Result<()> {
    let database = options.database.start()?;
    let opened = database::open(database.url()).await?;
    let store = &*opened.store;
    let two = fill_two(store, &options).await?;
    fill_list(store, options.conversations).await?;
    // As autovacuum does by itself, a while later.
    database.sql("VACUUM ANALYZE");
    let chat = server::chat(&opened, true, None).await?;
    let caller = |user: UserId| chat.as_user(Identity::new(user));

    println!("{}: a page of {PAGE}, {} runs each, quotas lifted", database.what(), options.runs);
    println!("{:<28}{:>14} messages{:>23} messages", "", options.short, options.long);
    let viewer = fill::user(0)?;
    let middle = |size: usize| Page::Before(fastrand::u64(PAGE as u64 + 1..=size as u64));
    side_by_side("store, latest", &two, options.runs, |id, _| {
        read(store, &viewer, id, Page::Latest)
    })
    .await?;
    side_by_side("store, before a random seq", &two, options.runs, |id, size| {
        read(store, &viewer, id, middle(size))
    })
    .await?;
    let reader = caller(viewer.clone());
    side_by_side("engine, latest", &two, options.runs, |id, _| ask(&reader, id, None)).await?;
    side_by_side("engine, before a random seq", &two, options.runs, |id, size| {
        ask(&reader, id, Some(fastrand::u64(PAGE as u64 + 1..=size as u64)))
    })
    .await?;

    println!("first {PAGE} of the conversation list with unread counts, through the engine");
    for conversations in [2 * PAGE, options.conversations] {
        let reader = caller(list_user(conversations)?);
        let durations = time(options.runs.min(1000), || list(&reader)).await?;
        println!("{:<28}{}", format!("of {conversations} conversations"), Sorted::new(durations));
    }
    drop((reader, caller(fill::user(0)?), chat));
    opened.close().await;
    Ok(())
}

async fn fill_two(store: &dyn Store, options: &Options) -> Result<Two> {
    println!("filling: conversations of {} and {} messages", options.short, options.long);
    let started = Instant::now();
    let (ann, bob, cid) = (fill::user(0)?, fill::user(1)?, fill::user(2)?);
    let ids =
        fill::directs(store, vec![(ann.clone(), bob.clone()), (ann.clone(), cid.clone())]).await?;
    let two = [(ids[0], options.short), (ids[1], options.long)];
    for ((id, size), sender) in two.into_iter().zip([&bob, &cid]) {
        fill::messages(store, id, sender, size).await?;
    }
    println!("filled in {:.1} s", started.elapsed().as_secs_f64());
    Ok(two)
}

/// A user with so many conversations.
fn list_user(conversations: usize) -> Result<UserId> {
    Ok(UserId::new(format!("has-{conversations}"))?)
}

/// Gives two users their conversations, with three unread messages in each.
async fn fill_list(store: &dyn Store, conversations: usize) -> Result<()> {
    for conversations in [2 * PAGE, conversations] {
        let user = list_user(conversations)?;
        let peers: Vec<UserId> = (0..conversations).map(fill::user).collect::<Result<_>>()?;
        let pairs = peers.iter().map(|peer| (user.clone(), peer.clone())).collect();
        let ids = fill::directs(store, pairs).await?;
        let now = parlor::Clock::now(&parlor::SystemClock);
        let appends = (0..3).flat_map(|number| {
            let each = ids.iter().zip(&peers);
            each.map(move |(id, peer)| fill::append(*id, peer, number, now))
        });
        for outcome in store.append(appends.collect::<Result<_>>()?).await {
            outcome?;
        }
    }
    Ok(())
}

async fn read(store: &dyn Store, viewer: &UserId, id: ConversationId, page: Page) -> Result<()> {
    let query = HistoryQuery { viewer: Some(viewer.clone()), page, limit: PAGE };
    full(store.history(id, query).await?.messages.len())
}

async fn ask(reader: &Caller, id: ConversationId, before: Option<u64>) -> Result<()> {
    full(reader.history(id, before).await?.messages.len())
}

async fn list(reader: &Caller) -> Result<()> {
    let list = ListConversations { limit: Some(PAGE as u64), ..ListConversations::default() };
    full(reader.conversations(list).await?.conversations.len())
}

fn full(rows: usize) -> Result<()> {
    if rows == PAGE { Ok(()) } else { Err(format!("a page of {rows} rows").into()) }
}

/// Measures both sizes in turn, so that whatever else the machine does falls on both.
async fn side_by_side<F, R>(
    name: &str,
    two: &Two,
    runs: usize,
    mut read: impl FnMut(ConversationId, usize) -> F,
) -> Result<()>
where
    F: Future<Output = Result<R>>,
{
    let mut durations = [Vec::with_capacity(runs), Vec::with_capacity(runs)];
    for run in 0..runs + runs / 10 {
        for ((id, size), durations) in two.iter().zip(&mut durations) {
            let started = Instant::now();
            read(*id, *size).await?;
            // The first tenth only warms the caches.
            if run >= runs / 10 {
                durations.push(started.elapsed());
            }
        }
    }
    let [short, long] = durations.map(Sorted::new);
    println!("{name:<28}{short}   {long}");
    Ok(())
}

async fn time<F, R>(runs: usize, mut work: impl FnMut() -> F) -> Result<Vec<Duration>>
where
    F: Future<Output = Result<R>>,
{
    let mut durations = Vec::with_capacity(runs);
    for _ in 0..runs {
        let started = Instant::now();
        work().await?;
        durations.push(started.elapsed());
    }
    Ok(durations)
}
