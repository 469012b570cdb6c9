//! `parlor-server import`: takes over the conversations and messages of a Node service, from its Postgres.
//!
//! It may be stopped and started again at any time, and run once more to catch up: whatever is there is found by
//! ids and keys made from the source's own. It reads one snapshot through a cursor, so its memory does not grow.

mod columns;
mod conversations;
mod messages;
mod query;
mod report;
mod source;

use std::sync::Arc;

use parlor::{Limits, store::Store};

use self::{report::Report, source::Source};
use crate::{
    backends,
    failure::Failure,
    options::{ImportOptions, Options},
    settings::Database,
};

/// Where everything goes.
struct Target {
    store: Arc<dyn Store>,
    limits: Limits,
}

/// Runs the import to its end.
pub(crate) fn start(options: &Options, import: &ImportOptions) -> Result<(), Failure> {
    crate::log::start(&options.running)?;
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|error| Failure::Start(format!("the runtime cannot be started: {error}")))?;
    runtime.block_on(run(options, import))
}

/// Imports, and says what became of every row.
async fn run(options: &Options, import: &ImportOptions) -> Result<(), Failure> {
    let database = Database::check(&options.storage)?;
    let mut source = Source::open(import).await?;
    let opened = backends::open(&database, options.storage.start_timeout).await?;
    println!("from {} ({})", import.from.without_password(), source.described());
    println!("into {}", database.shown());
    let target = Target { store: opened.store(), limits: Limits::default() };
    let outcome = carry_over(&mut source, &target).await;
    opened.close().await;
    let (conversations, messages) = outcome?;
    conversations.print();
    messages.print();
    if conversations.adds_up() && messages.adds_up() {
        return Ok(());
    }
    Err(Failure::Start("the counts do not add up: not every row was seen. Run it again.".into()))
}

async fn carry_over(source: &mut Source, target: &Target) -> Result<(Report, Report), Failure> {
    source.begin().await?;
    let conversations = conversations::import(source, target).await?;
    let messages = messages::import(source, target).await?;
    source.end().await?;
    Ok((conversations, messages))
}
