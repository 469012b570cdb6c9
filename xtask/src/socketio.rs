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

/// Runs the tests. They learn from the environment where the examples are (`PARLOR_EXAMPLES`), and where
/// Postgres and Redis are.
pub(crate) fn test() -> Outcome {
    let folder = root().join("tests").join("socketio");
    require_tests(&folder)?;
    let missing: Vec<&str> = TOOLS
        .iter()
        .filter(|(program, _)| find(program).is_none())
        .map(|(_, package)| *package)
        .collect();
    packages::install(&missing, "The Socket.IO tests need Node.js 20 or newer, and npm.")?;
    let examples = crate::test::examples(&EXAMPLES)?;
    run(command("npm").current_dir(&folder).args(["ci", "--no-audit", "--no-fund"]))?;
    let services = Services::start()?;
    let mut test = command("npm");
    test.current_dir(&folder).arg("test").env("PARLOR_EXAMPLES", examples);
    run(services.tell(&mut test))
}
