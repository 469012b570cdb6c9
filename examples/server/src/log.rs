//! Where log lines go: to standard error, so that standard output stays for what was asked for.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

use crate::{
    failure::Failure,
    options::{LogFormat, RunningOptions},
};

/// Begins to log.
pub(crate) fn start(options: &RunningOptions) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(&options.log).map_err(|error| {
        Failure::option("--log", "PARLOR_LOG", format!("is no filter: {error}"))
    })?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal());
    match options.log_format {
        LogFormat::Text => lines.init(),
        LogFormat::Json => lines.json().flatten_event(true).with_ansi(false).init(),
    }
    Ok(())
}
