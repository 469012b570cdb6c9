//! The public conformance suite, in a schema of a name of its own and by the default one.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use parlor_core::{
    conformance::{Fixture, assert_conforms},
    store::Store,
};
use parlor_store_postgres::{PostgresConfig, PostgresStore};

/// Each node has a pool of its own.
struct Database {
    url: String,
    schema: &'static str,
}

#[async_trait::async_trait]
impl Fixture for Database {
    async fn open(&self) -> Arc<dyn Store> {
        let config = PostgresConfig::new().schema(self.schema);
        Arc::new(PostgresStore::connect_with(&self.url, config).await.unwrap())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_conforms() {
    let url = parlor_test_services::postgres().database();
    assert_conforms(&Database { url, schema: "parlor" }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_of_another_name_conforms() {
    let url = parlor_test_services::postgres().database();
    assert_conforms(&Database { url, schema: "user" }).await;
}
