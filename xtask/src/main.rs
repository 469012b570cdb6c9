//! The project's chores: `cargo xtask help` lists them.

use std::process::ExitCode;

mod bench;
mod browser;
mod deps;
mod faults;
mod metadata;
mod packages;
mod run;
mod services;
mod socketio;
mod test;
mod tidy;

const HELP: &str = "\
Usage: cargo xtask COMMAND

Commands:
  test               runs everything that must pass before a merge
    --fast           leaves out the slow steps (faults, features, browser, socketio)
    --only STEP,...  runs these steps alone
  faults             checks on three real nodes that nothing is lost while parts fail
    --help           lists its options; 10 minutes and 2,000 clients unless they say otherwise
  bench OPTION...      compares parlor with its peers; `cargo xtask bench --help` lists the options
  msrv               checks the claimed minimum Rust version, with that toolchain if it is installed
  help               prints this";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let outcome = match args.as_slice() {
        ["test", options @ ..] => match test::Options::parse(options) {
            // It has said itself what failed.
            Ok(options) if test::run(&options) => return ExitCode::SUCCESS,
            Ok(_) => return ExitCode::FAILURE,
            Err(reason) => return usage(&reason),
        },
        ["faults", options @ ..] => faults::check(options),
        ["bench", options @ ..] => bench::run(options),
        ["msrv"] => deps::msrv(),
        ["help" | "--help" | "-h"] => {
            println!("{HELP}\n\nSteps of the test:\n{}", test::list());
            Ok(())
        }
        [] => return usage("a command is missing"),
        other => return usage(&format!("unknown: {}", other.join(" "))),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::FAILURE
        }
    }
}

fn usage(reason: &str) -> ExitCode {
    eprintln!("xtask: {reason}\n\n{HELP}\n\nSteps of the test:\n{}", test::list());
    ExitCode::from(2)
}
