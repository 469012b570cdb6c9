//! The public conformance suite, on a file and in memory.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use parlor_core::{
    conformance::{Fixture, assert_conforms},
    store::Store,
};
use parlor_store_sqlite::SqliteStore;

/// Each node opens the file anew.
struct File(tempfile::TempDir);

#[async_trait::async_trait]
impl Fixture for File {
    async fn open(&self) -> Arc<dyn Store> {
        let path = self.0.path().join("chat.db");
        Arc::new(SqliteStore::open(path.to_str().unwrap()).await.unwrap())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_conforms() {
    assert_conforms(&File(tempfile::tempdir().unwrap())).await;
}

/// A database in memory is shared by clones alone.
struct Memory(SqliteStore);

#[async_trait::async_trait]
impl Fixture for Memory {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(self.0.clone())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_conforms() {
    assert_conforms(&Memory(SqliteStore::open(":memory:").await.unwrap())).await;
}
