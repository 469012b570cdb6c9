use std::sync::Arc;

use async_trait::async_trait;
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};

use self::hub::Inbox;
use crate::{
    BackendError, BackendErrorKind,
    traits::{Bus, BusItem, Publication, Topic},
};

mod hub;

pub use hub::MemoryHub;

/// The bus of a single node: there is nobody to tell and nothing comes in.
#[derive(Debug, Clone, Copy, Default)]
pub struct LocalBus;

#[async_trait]
impl Bus for LocalBus {
    fn has_peers(&self) -> bool {
        false
    }

    async fn publish(&self, _: Vec<Publication>) -> Result<(), BackendError> {
        Ok(())
    }

    async fn join(&self, _: Vec<Topic>) -> Result<(), BackendError> {
        Ok(())
    }

    async fn part(&self, _: Vec<Topic>) -> Result<(), BackendError> {
        Ok(())
    }

    fn incoming(&self) -> BoxStream<'static, BusItem> {
        stream::pending().boxed()
    }
}

/// One node's end of a [`MemoryHub`]: several nodes in one process, for tests and examples.
///
/// A node does not get back what it published itself. What waits is bounded: a node that does not
/// read gets one [`BusItem::Gap`] in place of all that waited. Dropping the bus ends its stream.
#[derive(Debug)]
pub struct MemoryBus {
    hub: MemoryHub,
    node: usize,
    inbox: Arc<Inbox>,
}

impl MemoryBus {
    /// A hub for nodes to meet at, without nodes yet.
    pub fn hub() -> MemoryHub {
        MemoryHub::default()
    }

    /// The number of this node at its hub: 0 for the first, and so on.
    pub fn node(&self) -> usize {
        self.node
    }
}

#[async_trait]
impl Bus for MemoryBus {
    /// Fails while the node is partitioned.
    async fn publish(&self, publications: Vec<Publication>) -> Result<(), BackendError> {
        if self.hub.deliver(self.node, &publications) {
            Ok(())
        } else {
            Err(BackendError::new(BackendErrorKind::Unavailable, "publish"))
        }
    }

    async fn join(&self, topics: Vec<Topic>) -> Result<(), BackendError> {
        self.hub.join(self.node, topics);
        Ok(())
    }

    async fn part(&self, topics: Vec<Topic>) -> Result<(), BackendError> {
        self.hub.part(self.node, &topics);
        Ok(())
    }

    fn incoming(&self) -> BoxStream<'static, BusItem> {
        let inbox = self.inbox.clone();
        stream::unfold(inbox, |inbox| async move {
            let item = inbox.next().await?;
            Some((item, inbox))
        })
        .boxed()
    }
}

impl Drop for MemoryBus {
    fn drop(&mut self) {
        self.hub.leave(self.node);
    }
}

#[cfg(test)]
mod tests;
