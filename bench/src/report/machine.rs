//! The command, the versions and the machine behind figures.

use std::{fmt, fs, process::Command};

use parlor_test_services::Postgres;
use serde::{Deserialize, Serialize};

use crate::Result;

/// Where and how figures were taken.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) command: String,
    pub(crate) date: String,
    pub(crate) commit: String,
    pub(crate) processors: String,
    pub(crate) memory: String,
    pub(crate) kernel: String,
    /// Processes ready to run before the first measurement, over the last minute.
    pub(crate) load_before: String,
    pub(crate) postgres: String,
    pub(crate) node: String,
    pub(crate) rust: String,
}

impl Machine {
    /// Reads what is to be known.
    pub(crate) fn read(postgres: &Postgres) -> Result<Self> {
        let cpus = fs::read_to_string("/proc/cpuinfo")?;
        let model = field(&cpus, "model name").unwrap_or("unknown");
        let count = std::thread::available_parallelism()?;
        let memory = fs::read_to_string("/proc/meminfo")?;
        let kib: u64 = field(&memory, "MemTotal")
            .and_then(|total| total.split_whitespace().next()?.parse().ok())
            .unwrap_or(0);
        let load = fs::read_to_string("/proc/loadavg")?;
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        Ok(Self {
            command: format!("cargo xtask bench {}", arguments.join(" ")).trim_end().to_owned(),
            date: said("date", &["-u", "+%Y-%m-%d %H:%M UTC"]),
            commit: said("git", &["rev-parse", "--short", "HEAD"]),
            processors: format!("{count} × {model}"),
            memory: format!("{} GiB", (kib + (1 << 19)) >> 20),
            kernel: said("uname", &["-sr"]),
            load_before: load.split_whitespace().next().unwrap_or_default().to_owned(),
            postgres: postgres.psql(postgres.url(), "SHOW server_version").trim().to_owned(),
            node: said("node", &["--version"]),
            rust: said("rustc", &["--version"]),
        })
    }

    /// All in one line.
    pub(crate) fn line(&self) -> String {
        let Self { command, date, commit, processors, memory, kernel, load_before, .. } = self;
        let Self { postgres, node, rust, .. } = self;
        format!(
            "`{command}`, {date}, commit {commit}; {processors}, {memory}, {kernel}, load before {load_before}; \
             Postgres {postgres} with its defaults, Node {node}, {rust}. Rate limits are lifted for all."
        )
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line())
    }
}

/// The value of a line `name : value`.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| Some(line.strip_prefix(name)?.split_once(':')?.1.trim()))
}

/// What a command says; "unknown" when it says nothing.
fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().ok();
    let output = output.filter(|output| output.status.success());
    output.map_or("unknown".into(), |output| {
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    })
}
