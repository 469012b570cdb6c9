//! A store of your own: what a backend must do, on nothing but parlor's public API.
//!
//! ```text
//! cargo run --example custom_store
//! ```
//!
//! runs the public conformance suite on it and prints what became of each case.
//!
//! The medium is one text file. Every transaction is one line of it: a JSON list of the rows that it wrote,
//! on disk before anybody is told. The tables in memory are what replaying the file gives.
//!
//! - `journal.rs`: the medium. A line is there whole or not at all, and a change is never cancelled half-way.
//! - `tables.rs`: the rows, the indexes that follow from them, and what is read from both.
//! - `conversations.rs`, `messages.rs`, `cursors.rs`: the three traits that make a [`parlor::store::Store`].
//!   Each change loads rows, asks [`parlor::rules`] whether it is allowed, and puts the new rows.

mod conversations;
mod cursors;
mod journal;
mod messages;
mod tables;

use std::{error::Error, fs::OpenOptions, io::Write, process::ExitCode, sync::Arc};

use async_trait::async_trait;
use parlor::{
    conformance::{self, Fixture},
    store::Store,
};

use journal::JournalStore;

/// All that the suite must know: how to open the backend.
struct OneJournal(JournalStore);

#[async_trait]
impl Fixture for OneJournal {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(self.0.clone())
    }
}

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("chat.jsonl");
    let fixture = OneJournal(JournalStore::open(&path)?);
    let report = conformance::run(&fixture).await;
    println!("{report}");

    // The suite restarts nothing: a store that says "durable" tests that itself, here with a last write
    // that a crash cut short.
    let kept = fixture.0.read("main").await?.clone();
    drop(fixture);
    OpenOptions::new().append(true).open(&path)?.write_all(b"[{\"Left\":[")?;
    let survived = *JournalStore::open(&path)?.read("main").await? == kept;
    println!("reopened after a crash: {}", if survived { "everything is there" } else { "FAILED" });
    Ok(if report.is_ok() && survived { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
