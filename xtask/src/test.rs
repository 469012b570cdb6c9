//! `cargo xtask test`: the steps, one after the other.

use std::{path::PathBuf, time::Instant};

use crate::{
    browser, deps, faults, metadata,
    run::{Outcome, cargo, command, run as execute},
    services::Services,
    socketio, tidy,
};

/// A step of the test.
struct Step {
    name: &'static str,
    what: &'static str,
    /// Left out by `--fast`.
    slow: bool,
    run: fn() -> Outcome,
}

/// Cheap ones first; those that compile later ones share the features of [`metadata::feature_set`].
const STEPS: &[Step] = &[
    Step {
        name: "tidy",
        what: "file lengths, paths, licences, manifests",
        slow: false,
        run: tidy::check,
    },
    Step { name: "fmt", what: "rustfmt", slow: false, run: fmt },
    Step {
        name: "guard",
        what: "the core names no transport and no database",
        slow: false,
        run: deps::guard,
    },
    Step {
        name: "rust-version",
        what: "no dependency needs a newer Rust than we claim",
        slow: false,
        run: deps::rust_version,
    },
    Step {
        name: "clippy",
        what: "lints of everything, warnings refused",
        slow: false,
        run: clippy,
    },
    Step { name: "doc", what: "rustdoc, warnings refused", slow: false, run: doc },
    Step {
        name: "test",
        what: "unit, system and doc tests on a real Postgres and Redis; examples compile",
        slow: false,
        run: test,
    },
    Step {
        name: "conformance",
        what: "the conformance suite on the example's own store",
        slow: false,
        run: conformance,
    },
    Step {
        name: "faults",
        what: "60 clients over three nodes lose nothing while one part after another fails",
        slow: true,
        run: faults::test,
    },
    Step { name: "features", what: "each feature compiles alone", slow: true, run: deps::features },
    Step {
        name: "browser",
        what: "the pages of the examples, and a Socket.IO front end, in a real browser",
        slow: true,
        run: browser::test,
    },
    Step {
        name: "socketio",
        what: "the Socket.IO examples with the real socket.io-client, on SQLite, and on Postgres with Redis",
        slow: true,
        run: socketio::test,
    },
];

/// What to run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options {
    fast: bool,
    only: Vec<String>,
}

impl Options {
    /// Reads what follows `test` on the command line.
    pub(crate) fn parse(args: &[&str]) -> Outcome<Self> {
        let mut options = Self { fast: false, only: Vec::new() };
        let mut args = args.iter();
        while let Some(&arg) = args.next() {
            match arg {
                "--fast" => options.fast = true,
                "--only" => {
                    let names = args.next().ok_or("--only needs the name of a step")?;
                    for name in names.split(',') {
                        if !STEPS.iter().any(|step| step.name == name) {
                            return Err(format!("no step is called {name:?}"));
                        }
                        options.only.push(name.to_owned());
                    }
                }
                _ => return Err(format!("unknown option {arg:?}")),
            }
        }
        Ok(options)
    }

    fn selects(&self, step: &Step) -> bool {
        if self.only.is_empty() {
            !(self.fast && step.slow)
        } else {
            self.only.iter().any(|name| name == step.name)
        }
    }
}

/// Runs the selected steps, stops at the first that fails, and says whether all passed.
pub(crate) fn run(options: &Options) -> bool {
    let started = Instant::now();
    let (selected, left_out): (Vec<&Step>, Vec<&Step>) =
        STEPS.iter().partition(|step| options.selects(step));
    let mut passed = 0;
    let mut failed = 0;
    for step in &selected {
        println!("\n==> {}: {}", step.name, step.what);
        let step_started = Instant::now();
        let outcome = (step.run)();
        let seconds = step_started.elapsed().as_secs_f32();
        match outcome {
            Ok(()) => println!("<== {}: passed in {seconds:.1} s", step.name),
            Err(reason) => {
                println!("<== {}: failed in {seconds:.1} s\n\n{reason}", step.name);
                println!("\nTo run it alone: cargo xtask test --only {}", step.name);
                failed = 1;
                break;
            }
        }
        passed += 1;
    }
    println!("\nElapsed: {:.1} s", started.elapsed().as_secs_f32());
    if !left_out.is_empty() {
        println!("Left out as asked: {}", names(&left_out));
    }
    if passed + failed < selected.len() {
        println!("Not reached: {}", names(&selected[passed + failed..]));
    }
    println!("steps: {passed} passed, {failed} failed");
    failed == 0
}

/// The steps for a reader, one a line.
pub(crate) fn list() -> String {
    let lines: Vec<_> =
        STEPS.iter().map(|step| format!("  {:<17}{}", step.name, step.what)).collect();
    lines.join("\n")
}

fn names(steps: &[&Step]) -> String {
    steps.iter().map(|step| step.name).collect::<Vec<_>>().join(", ")
}

fn fmt() -> Outcome {
    execute(cargo().args(["fmt", "--all", "--check"]))
}

fn clippy() -> Outcome {
    let features = metadata::feature_set()?;
    execute(
        cargo()
            .args(["clippy", "--workspace", "--all-targets", "--features", &features])
            .args(["--", "-D", "warnings"]),
    )
}

fn doc() -> Outcome {
    let features = metadata::feature_set()?;
    // With the examples the dev-dependencies take part in choosing the features of dependencies, as they
    // do for clippy; without them half of the dependencies would be checked once more.
    execute(
        cargo()
            .env("RUSTDOCFLAGS", "-D warnings")
            .args(["doc", "--workspace", "--no-deps", "--lib", "--bins", "--examples"])
            .args(["--features", &features]),
    )
}

fn test() -> Outcome {
    let features = metadata::feature_set()?;
    let services = Services::start()?;
    let mut test = cargo();
    test.args(["test", "--workspace", "--no-fail-fast", "--features", &features]);
    execute(services.tell(&mut test))
}

fn conformance() -> Outcome {
    execute(&mut command(example("custom_store")?))
}

/// Builds an example as `cargo test` does and says where it lies.
pub(crate) fn example(name: &str) -> Outcome<PathBuf> {
    let file = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    Ok(examples(&[name])?.join(file))
}

/// Builds examples as `cargo test` does and says in which folder they lie.
pub(crate) fn examples(names: &[&str]) -> Outcome<PathBuf> {
    let features = metadata::feature_set()?;
    let mut build = cargo();
    build.args(["build", "--workspace", "--features", &features]);
    for name in names {
        build.args(["--example", name]);
    }
    execute(&mut build)?;
    Ok(metadata::target_directory()?.join("debug").join("examples"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selected(args: &[&str]) -> Vec<&'static str> {
        let options = Options::parse(args).unwrap();
        STEPS.iter().filter(|step| options.selects(step)).map(|step| step.name).collect()
    }

    #[test]
    fn fast_leaves_out_the_slow_steps_and_only_names_its_own() {
        assert_eq!(selected(&[]).len(), STEPS.len());
        let fast = selected(&["--fast"]);
        assert!(!fast.contains(&"browser") && fast.contains(&"test"));
        assert_eq!(selected(&["--only", "fmt,browser", "--fast"]), ["fmt", "browser"]);
    }

    #[test]
    fn unknown_options_and_steps_are_refused() {
        assert!(Options::parse(&["--quick"]).is_err());
        assert!(Options::parse(&["--only"]).is_err());
        assert!(Options::parse(&["--only", "lint"]).is_err());
    }
}
