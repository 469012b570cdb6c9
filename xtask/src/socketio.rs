//! The tests in `tests/socketio`: the Socket.IO examples, with the client that front ends use.

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
/// A program that the tests need, and Debian's package of it.
const TOOLS: [(&str, &str); 2] = [("node", "nodejs"), ("npm", "npm")];

/// Runs the tests: all with the examples on SQLite without Redis, then those of the contracts once more on Postgres
/// with Redis (`PARLOR_TEST_BACKENDS`). They learn from the environment where the examples are
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
    for (script, backends) in [("test", "embedded"), ("test:shared", "shared")] {
        let mut test = command("npm");
        test.current_dir(&folder).args(["run", script]);
        test.env("PARLOR_EXAMPLES", &examples).env("PARLOR_TEST_BACKENDS", backends);
        run(services.tell(&mut test))?;
    }
    Ok(())
}
