//! Why the program ends without having done what it was asked.

use std::{fmt, process::ExitCode};

/// What is told on standard error, and the exit code.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The options make no sense: exit code 2, as for options that are not known.
    Usage(String),
    /// Something outside did not do its part: exit code 1.
    Start(String),
    /// The reasons were told already: exit code 1.
    Told,
}

impl Failure {
    /// Names an option, with its environment variable, and what it must be.
    pub(crate) fn option(flag: &str, variable: &str, must: impl fmt::Display) -> Self {
        Self::Usage(format!("{flag} ({variable}) {must}"))
    }

    /// Says on standard error what went wrong, and with which code the program ends.
    pub(crate) fn tell(&self) -> ExitCode {
        let (text, code) = match self {
            Self::Usage(text) => (text, 2),
            Self::Start(text) => (text, 1),
            Self::Told => return ExitCode::from(1),
        };
        eprintln!("parlor-server: {text}");
        if code == 2 {
            eprintln!("parlor-server --help explains all options.");
        }
        ExitCode::from(code)
    }
}
