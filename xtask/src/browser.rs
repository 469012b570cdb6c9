//! The browser tests in `tests/browser`: the pages of the examples, and a front end of the contract `connections`.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use crate::{
    packages,
    run::{Outcome, command, find, root, run},
};

/// The examples that the tests start.
const EXAMPLES: [&str; 4] = ["connections", "gateway", "quickstart", "several_contracts"];
/// A program that the tests need, and Debian's package of it.
const TOOLS: [(&str, &str); 3] = [("chromium", "chromium"), ("node", "nodejs"), ("npm", "npm")];

/// Runs the browser tests. They learn from the environment where the examples (`PARLOR_EXAMPLES`) and the browser
/// (`PARLOR_CHROMIUM`, which may be set beforehand) are.
pub(crate) fn test() -> Outcome {
    let folder = root().join("tests").join("browser");
    require_tests(&folder)?;
    install_missing()?;
    let examples = crate::test::examples(&EXAMPLES)?;
    run(command("npm").current_dir(&folder).args(["ci", "--no-audit", "--no-fund"]))?;
    run(command("npm")
        .current_dir(&folder)
        .arg("test")
        .env("PARLOR_EXAMPLES", examples)
        .env("PARLOR_CHROMIUM", chromium()?))
}

/// Node's test runner is content when it finds no test at all; we are not.
pub(crate) fn require_tests(folder: &Path) -> Outcome {
    let mut entries = fs::read_dir(folder).into_iter().flatten().flatten();
    if entries.any(|entry| entry.file_name().to_string_lossy().ends_with(".test.mjs")) {
        return Ok(());
    }
    Err(format!("{} has no *.test.mjs", folder.display()))
}

fn chromium() -> Outcome<PathBuf> {
    env::var_os("PARLOR_CHROMIUM")
        .map(PathBuf::from)
        .or_else(|| find("chromium"))
        .ok_or_else(|| "chromium is not on the PATH".to_owned())
}

/// Installs what is missing from Debian's archive, or says how to.
fn install_missing() -> Outcome {
    let missing: Vec<&str> = TOOLS
        .iter()
        .filter(|(program, _)| find(program).is_none())
        .filter(|(program, _)| *program != "chromium" || env::var_os("PARLOR_CHROMIUM").is_none())
        .map(|(_, package)| *package)
        .collect();
    packages::install(
        &missing,
        "The browser tests need Chromium, Node.js and npm. Without Debian's packages: install them, \
         and set PARLOR_CHROMIUM when Chromium is not `chromium` on the PATH.",
    )
}
