//! The store in memory keeps the whole contract.

use std::sync::Arc;

use parlor_core::{
    backends::MemoryStore,
    conformance::{Fixture, assert_conforms},
    store::Store,
};

/// Clones share one medium.
struct Memory(MemoryStore);

#[async_trait::async_trait]
impl Fixture for Memory {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(self.0.clone())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_memory_store_conforms() {
    assert_conforms(&Memory(MemoryStore::new())).await;
}
