//! The check that nothing is lost when parts fail: `tests/faults`.

use std::{env::consts::EXE_SUFFIX, process::Command};

use crate::{
    metadata,
    run::{Outcome, cargo, command, run},
    services,
};

/// Builds the server and the checker for release and runs the checker with these options.
pub(crate) fn check(options: &[&str]) -> Outcome {
    services::install_missing()?;
    run(cargo().args(["build", "--release", "--package", "parlor-server"]))?;
    run(cargo().args(["build", "--release", "--package", "parlor-faults"]))?;
    run(checker("release")?.args(options))
}

/// A short run of what the tests have built.
pub(crate) fn test() -> Outcome {
    services::install_missing()?;
    let features = metadata::feature_set()?;
    run(cargo().args(["build", "--workspace", "--bins", "--features", &features]))?;
    run(checker("debug")?.args(["--seconds", "60", "--clients", "60"]))
}

fn checker(profile: &str) -> Outcome<Command> {
    let folder = metadata::target_directory()?.join(profile);
    Ok(command(folder.join(format!("faults{EXE_SUFFIX}"))))
}
