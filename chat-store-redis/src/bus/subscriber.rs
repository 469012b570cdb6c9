//! The task that keeps the subscribing connection up and listens to what the desk wants.

use std::sync::Arc;

use redis::{PushInfo, PushKind, Value};

use super::{
    desk::{Desk, Round},
    frame::{Read, Reader},
    inbox::Inbox,
};
use crate::{
    connection::{Backoff, Connection, Connector, Health},
    error::Fault,
};

/// Channels in one command.
const CHUNK: usize = 1000;

/// Connects again and again, until it is dropped.
pub(super) async fn keep_up(
    connector: Connector,
    desk: Arc<Desk>,
    inbox: Arc<Inbox>,
    reader: Reader,
) {
    let reader = Arc::new(reader);
    let mut health = Health::new("bus", connector.address());
    let mut backoff = Backoff::new();
    loop {
        let (into, read) = (Arc::clone(&inbox), Arc::clone(&reader));
        let why = match connector.connect(move |info| receive(info, &read, &into)).await {
            Ok(connection) => serve(connection, &desk, &inbox, &mut health, &mut backoff).await,
            Err(why) => why,
        };
        desk.down(&why);
        health.down(&why);
        backoff.pause().await;
    }
}

/// Listens to all that is wanted, then tells a gap if something may have been missed, and follows what is
/// wanted from then on. Returns why the connection ended.
async fn serve(
    mut connection: Connection,
    desk: &Desk,
    inbox: &Inbox,
    health: &mut Health,
    backoff: &mut Backoff,
) -> Fault {
    desk.up();
    loop {
        let round = desk.round();
        if let Err(why) = ask(&mut connection, &round).await {
            round.refuse(&why);
            return why;
        }
        if desk.done(round) {
            inbox.gap();
        }
        health.up();
        *backoff = Backoff::new();
        let idle = tokio::select! {
            () = desk.changed() => continue,
            idle = connection.idle() => idle,
        };
        if let Err(why) = idle {
            return why;
        }
        if let Err(why) = connection.ping().await {
            return why;
        }
    }
}

async fn ask(connection: &mut Connection, round: &Round) -> Result<(), Fault> {
    for channels in round.subscribe.chunks(CHUNK) {
        connection.subscribe(channels).await?;
    }
    for channels in round.unsubscribe.chunks(CHUNK) {
        connection.unsubscribe(channels).await?;
    }
    Ok(())
}

/// Takes in what the server pushes. Runs in the connection's task and never waits.
fn receive(mut info: PushInfo, reader: &Reader, inbox: &Inbox) {
    if info.kind != PushKind::Message {
        return;
    }
    // A channel and what was published to it.
    let Some(Value::BulkString(frame)) = info.data.pop() else { return };
    match reader.read(frame) {
        Read::Payload(payload) => inbox.message(payload),
        Read::Known => {}
        Read::Foreign => metrics::counter!("parlor_redis_skipped_total").increment(1),
    }
}
