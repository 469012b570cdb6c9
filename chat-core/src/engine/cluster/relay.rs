//! What comes in from the bus.

use std::sync::Arc;

use futures::StreamExt;

use crate::engine::{
    node::{Life, Node},
    wire::decode,
};
use crate::traits::{BusItem, Topic};

/// Starts the task that reads the bus. It ends with the bus or the engine.
pub(in crate::engine) fn run(node: &Arc<Node>, life: &Life) {
    if node.backends.bus.has_peers() {
        tokio::spawn(serve(Arc::clone(node), life.clone()));
    }
}

async fn serve(node: Arc<Node>, mut life: Life) {
    let mut incoming = node.backends.bus.incoming();
    // Failing, the bus goes on trying, and tells a gap.
    let _ = node.tolerate(&node.outages.listen, node.backends.bus.join(vec![Topic::Nodes])).await;
    loop {
        let item = tokio::select! {
            item = incoming.next() => item,
            () = life.ended() => return,
        };
        match item {
            Some(BusItem::Message(payload)) => {
                if let Some(message) = decode(node.id, &payload) {
                    crate::engine::fanout::relay(&node, message);
                }
            }
            Some(BusItem::Gap) => {
                metrics::counter!("parlor_bus_gaps_total").increment(1);
                node.gaps.sweep_now();
                node.people.renew_all();
                crate::engine::access::recheck_all(&node);
            }
            None => return,
        }
    }
}
