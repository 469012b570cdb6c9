//! The tests in `tests/socketio`: the Socket.IO examples, with the client that front ends use.

use std::{fs, path::Path};

use crate::{
    browser::require_tests,
    packages,
    run::{Outcome, command, find, root, run},
    services::Services,
};

/// The examples that the tests start.
const EXAMPLES: [&str; 8] = [
    "brand_influencer",
    "chat_service",
    "connections",
    "custom_contract",
    "direct_messages",
    "gateway",
    "several_contracts",
    "tutor_bookings",
];
/// Tests that load the machine, or watch deadlines, or are on backends of their own choice.
const ALONE: [&str; 2] = ["gateway_services.test.mjs", "transport.test.mjs"];
/// Other test files at once: for the most part they wait, until somebody is offline or types no more.
const AT_ONCE: u32 = 4;
/// A program that the tests need, and Debian's package of it.
const TOOLS: [(&str, &str); 2] = [("node", "nodejs"), ("npm", "npm")];

/// Runs the tests: those of the contracts with the examples on SQLite without Redis, then on Postgres with Redis
/// (`PARLOR_TEST_BACKENDS`); the others once. They learn from the environment where the examples are
/// (`PARLOR_EXAMPLES`), and where Postgres and Redis are.
pub(crate) fn test() -> Outcome {
    let folder = root().join("tests").join("socketio");
    require_tests(&folder)?;
    let missing: Vec<&str> = TOOLS
        .iter()
        .filter(|(program, _)| find(program).is_none())
        .map(|(_, package)| *package)
        .collect();
    packages::install(&missing, "The Socket.IO tests need Node.js 20.10 or newer, and npm.")?;
    let examples = crate::test::examples(&EXAMPLES)?;
    run(command("npm").current_dir(&folder).args(["ci", "--no-audit", "--no-fund"]))?;
    let services = Services::start()?;
    let (alone, contracts): (Vec<_>, Vec<_>) =
        test_files(&folder)?.into_iter().partition(|file| ALONE.contains(&file.as_str()));
    for (files, at_once, backends) in [
        (&contracts, AT_ONCE, "embedded"),
        (&contracts, AT_ONCE, "shared"),
        (&alone, 1, "embedded"),
    ] {
        let mut test = command("node");
        test.current_dir(&folder).arg("--test").arg(format!("--test-concurrency={at_once}"));
        test.args(files).env("PARLOR_EXAMPLES", &examples).env("PARLOR_TEST_BACKENDS", backends);
        run(services.tell(&mut test))?;
    }
    Ok(())
}

/// The names of the test files, sorted.
fn test_files(folder: &Path) -> Outcome<Vec<String>> {
    let error = |error: std::io::Error| format!("{}: {error}", folder.display());
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(error)? {
        let name = entry.map_err(error)?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".test.mjs") {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}
