//! One client asks for pages, one after the other.

use std::{net::SocketAddr, time::Instant};

use serde::{Deserialize, Serialize};

use super::{
    Dialect, Outcome,
    client::{Ask, Client, Incoming},
    tell,
};
use crate::{
    Result,
    measure::Histogram,
    systems::{Logins, user},
};

/// What to do.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Load {
    pub(crate) page: Page,
    /// How many.
    pub(crate) count: usize,
    /// Entries of a page.
    pub(crate) limit: usize,
}

/// A kind of page.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) enum Page {
    /// The newest messages, as a user reads them.
    Latest { user: usize, conversation: String },
    /// Messages before one at random in this range.
    Before { user: usize, conversation: String, from: u64, to: u64 },
    /// A user's conversation list with unread counts.
    Conversations { user: usize },
}

pub(crate) async fn run(dialect: Dialect, server: SocketAddr, load: Load) -> Result<()> {
    let page = &load.page;
    let (Page::Latest { user: reader, .. }
    | Page::Before { user: reader, .. }
    | Page::Conversations { user: reader }) = page;
    let token = Logins::new()?.token(&user(*reader))?;
    let mut client = Client::connect(dialect, server, 2, &token).await?;
    for _ in 0..load.count / 10 {
        read(&mut client, page, load.limit).await?;
    }
    println!("begin");
    let (mut latencies, begun) = (Histogram::default(), Instant::now());
    for _ in 0..load.count {
        let started = Instant::now();
        read(&mut client, page, load.limit).await?;
        latencies.record(started.elapsed());
    }
    let seconds = begun.elapsed().as_secs_f64();
    println!("end");
    tell(&Outcome { count: load.count as u64, seconds, latencies, ..Outcome::default() })
}

async fn read(client: &mut Client, page: &Page, limit: usize) -> Result<()> {
    let ask = match page {
        Page::Latest { conversation, .. } => Ask::History { conversation, before: None, limit },
        Page::Before { conversation, from, to, .. } => {
            Ask::History { conversation, before: Some(fastrand::u64(*from..=*to)), limit }
        }
        Page::Conversations { .. } => Ask::Conversations { limit },
    };
    client.ask(1, ask).await?;
    client.flush().await?;
    loop {
        if let Incoming::Answer(_, text) = client.next().await? {
            // Each entry shows one text.
            let entries = text.matches(client.mark()).count();
            return if entries == limit {
                Ok(())
            } else {
                Err(format!("a page of {entries}, not {limit}").into())
            };
        }
    }
}
