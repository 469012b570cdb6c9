//! Figures for Prometheus.

use std::time::Duration;

use axum::{Router, http::header, routing::get};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use crate::failure::Failure;

/// How often what was recorded is folded into the histograms, so that it takes no memory when nobody asks.
const UPKEEP: Duration = Duration::from_secs(5);

/// Bounds of times, in seconds.
const SECONDS: [f64; 12] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
/// Bounds of messages that share a commit.
const BATCH: [f64; 10] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];

/// Begins to record. Must be called within a tokio runtime.
pub(crate) fn start() -> Result<PrometheusHandle, Failure> {
    let failed = |error: &dyn std::fmt::Display| {
        Failure::Start(format!("metrics cannot be recorded: {error}"))
    };
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS)
        .and_then(|builder| {
            builder.set_buckets_for_metric(Matcher::Full("parlor_batch_size".into()), &BATCH)
        })
        .map_err(|error| failed(&error))?
        .build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).map_err(|error| failed(&error))?;
    describe();
    let upkeep = handle.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(UPKEEP).await;
            upkeep.run_upkeep();
        }
    });
    Ok(handle)
}

/// Serves the figures at `/metrics`.
pub(crate) fn router(handle: PrometheusHandle) -> Router {
    let answer = move || {
        let handle = handle.clone();
        async move {
            ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], handle.render())
        }
    };
    Router::new().route("/metrics", get(answer))
}

fn describe() {
    metrics::gauge!("parlor_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    metrics::describe_gauge!("parlor_build_info", "The version that runs");
    metrics::describe_gauge!("parlor_connections", "Devices connected to this node");
    metrics::describe_counter!("parlor_messages_total", "Messages stored by this node");
    metrics::describe_counter!("parlor_commands_total", "Commands by name and outcome");
    metrics::describe_counter!("parlor_rate_limited_total", "Requests beyond a quota, by class");
    metrics::describe_counter!(
        "parlor_slow_connections_total",
        "Connections closed because the client did not keep up"
    );
    metrics::describe_counter!(
        "parlor_gap_fills_total",
        "Holes in the order of events that were filled from the database"
    );
    metrics::describe_counter!("parlor_store_errors_total", "Failed calls of the database");
    metrics::describe_counter!("parlor_bus_errors_total", "Failed publishes to other nodes");
    metrics::describe_counter!(
        "parlor_bus_gaps_total",
        "Times at which events of other nodes may have been lost, and were looked for in the database"
    );
    metrics::describe_counter!("parlor_ws_closed_total", "WebSockets closed, by close code");
    metrics::describe_histogram!("parlor_batch_size", "Messages that share a commit");
    metrics::describe_histogram!(
        "parlor_http_request_seconds",
        metrics::Unit::Seconds,
        "Time of a REST request"
    );
    metrics::describe_gauge!("parlor_http_connections", "TCP connections that speak HTTP");
    metrics::describe_counter!(
        "parlor_http_refused_total",
        "TCP connections refused for want of room, by reason"
    );
    metrics::describe_gauge!("parlor_redis_connected", "Whether a connection to Redis stands (1)");
    metrics::describe_counter!(
        "parlor_redis_local_takes_total",
        "Rate limits counted by this node alone because Redis did not answer"
    );
    metrics::describe_counter!("parlor_jwks_fetches_total", "Fetches of keys, by outcome");
}
