//! `cargo xtask bench`: builds what is compared and compares it.

use crate::{
    metadata::target_directory,
    run::{Outcome, cargo, command, run as execute},
    services::install_missing,
};

/// The programs that are built; those for Node are installed by the first.
const PACKAGES: [&str; 3] = ["parlor-bench", "parlor-bench-floor", "parlor-bench-socketioxide"];

/// Optimized across crates, all alike.
const PROFILE: &str = "release-lto";

/// Passes the options on.
pub(crate) fn run(options: &[&str]) -> Outcome {
    install_missing()?;
    let packages = PACKAGES.iter().flat_map(|package| ["--package", package]);
    execute(cargo().args(["build", "--profile", PROFILE]).args(packages))?;
    let program = format!("bench{}", std::env::consts::EXE_SUFFIX);
    execute(command(target_directory()?.join(PROFILE).join(program)).args(options))
}
