//! The options, as they are given: by flags, or by environment variables.
#![allow(
    rustdoc::bare_urls,
    rustdoc::broken_intra_doc_links,
    reason = "these texts are the help, on a terminal"
)]

mod import;
mod limits;
mod running;
mod storage;
mod tokens;

use std::net::{SocketAddr, ToSocketAddrs};

use clap::{Arg, CommandFactory, FromArgMatches, Parser, Subcommand, error::ErrorKind};

pub(crate) use import::{Format, ImportOptions};
pub(crate) use limits::LimitOptions;
pub(crate) use running::{LogFormat, RunningOptions};
pub(crate) use storage::StorageOptions;
pub(crate) use tokens::{KeyOptions, TokenOptions};

const LONG_ABOUT: &str = "\
A chat server: durable, ordered, resumable real-time messages over WebSocket and REST.

Without any option it keeps messages in the file parlor.db, listens on http://127.0.0.1:3000 and shows a page \
to try it with. For others to reach it, give it a key that tokens are checked with (--jwt-secret or --jwks) and an \
address (--listen). For several nodes give all of them the same --database postgres://… and --redis redis://….

Every option is also an environment variable, named with it below; the flag wins, and a variable that is empty \
counts as not given. Times are written as 500ms, 10s, \
2m, 12h or 7d; a bare number counts seconds.";

const EXAMPLES: &str = "\
What it serves:
  /chat      the WebSocket (/chat/ws) and REST routes (described in /chat/openapi.json)
  /healthz   200 as long as the process lives
  /readyz    200 when clients may come, else 503 and the reason
  /metrics   for Prometheus, unless --metrics-listen gives it an address of its own
  /          a page to try it with (see --page)

Examples:
  Try it on this machine, then open http://127.0.0.1:3000 in two windows:
    parlor-server

  For others, on one node, with tokens that your own server signs:
    parlor-server --listen 0.0.0.0:3000 --jwt-secret-file /etc/parlor/jwt-secret \\
      --origin https://app.example.com

  One of several nodes, with the keys of an identity provider:
    parlor-server --listen 0.0.0.0:3000 --database postgres://parlor@db/chat --redis redis://cache \\
      --jwks https://login.example.com/.well-known/jwks.json --jwt-audience chat

  Look whether database, Redis and keys can be reached:
    parlor-server --check --database postgres://parlor@db/chat --redis redis://cache

  The tables of Postgres, made by an administrator for a role that may not:
    parlor-server schema | psql postgres://admin@db/chat

  A token for trying out:
    parlor-server token --sub ann --name Ann

  Whether the server that runs here is ready, for a container's health check:
    parlor-server ready

Stopping: SIGTERM or Ctrl-C turns /readyz to 503, finishes what was begun, sends clients to another node and
ends within --drain-deadline; a second signal ends at once. Exit codes: 0 done, 1 failed, 2 wrong options.";

/// A chat server on parlor.
#[derive(Debug, Parser)]
#[command(
    name = "parlor-server",
    version,
    about = "A chat server: durable, ordered, resumable real-time messages over WebSocket and REST",
    long_about = LONG_ABOUT,
    after_help = "A longer explanation and examples: parlor-server --help",
    after_long_help = EXAMPLES,
    disable_help_subcommand = true,
    subcommand_help_heading = "Subcommands"
)]
pub(crate) struct Options {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    /// Look whether database, Redis and keys can be reached, say so in a line each, and end: exit code 0 or 1
    ///
    /// Nothing is made or changed: what the next start would make is said.
    #[arg(long)]
    pub(crate) check: bool,

    /// Where to listen: an address and a port; port 0 takes a free one
    ///
    /// Only this machine can reach 127.0.0.1; 0.0.0.0 is every IPv4 address of it, [::] every address.
    #[arg(
        long,
        env = "PARLOR_LISTEN",
        value_name = "ADDR",
        default_value = "127.0.0.1:3000",
        value_parser = address,
        global = true
    )]
    pub(crate) listen: SocketAddr,

    /// Let pages of this origin in, besides the server's own, such as https://app.example.com; may be repeated
    ///
    /// Browsers say which page a connection comes from; others are let in as long as their token is right.
    #[arg(long = "origin", env = "PARLOR_ORIGIN", value_name = "ORIGIN", value_delimiter = ',')]
    pub(crate) origins: Vec<String>,

    /// Let pages of all origins in, for public servers
    #[arg(
        long,
        env = "PARLOR_ANY_ORIGIN",
        value_parser = clap::builder::FalseyValueParser::new()
    )]
    pub(crate) any_origin: bool,

    /// Serve the page to try it with at / [default: when listening on this machine alone]
    #[arg(
        long,
        env = "PARLOR_PAGE",
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub(crate) page: Option<bool>,

    #[command(flatten, next_help_heading = "Storage")]
    pub(crate) storage: StorageOptions,

    #[command(flatten, next_help_heading = "Who may come in")]
    pub(crate) keys: KeyOptions,

    #[command(flatten, next_help_heading = "Limits")]
    pub(crate) limits: LimitOptions,

    #[command(flatten, next_help_heading = "Running")]
    pub(crate) running: RunningOptions,
}

impl Options {
    /// Reads flags and variables. Ends the program when they are wrong, or when only help was asked for.
    pub(crate) fn read() -> Self {
        let command = Self::command().mut_args(without_empty_variable);
        let matches = match command.try_get_matches() {
            // The help names the variables that are empty as well.
            Err(error) if error.kind() == ErrorKind::DisplayHelp => Self::command().get_matches(),
            read => read.unwrap_or_else(|error| error.exit()),
        };
        Self::from_arg_matches(&matches)
            .unwrap_or_else(|error| error.format(&mut Self::command()).exit())
    }
}

/// Compose files pass on variables that are not set as empty ones.
fn without_empty_variable(argument: Arg) -> Arg {
    let variable = argument.get_env().and_then(std::env::var_os);
    match variable {
        Some(value) if value.is_empty() => argument.env(None),
        _ => argument,
    }
}

/// What else the program does.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Print a token signed with the configured secret, for trying out
    Token(TokenOptions),
    /// Print the SQL that makes the schema of Postgres (see --database-schema), for a role that may not make it itself
    ///
    /// Apply it as a role that may, grant the server's own role USAGE on the schema and SELECT, INSERT, UPDATE and DELETE
    /// on its tables, and start the server with --migrate false.
    Schema,
    /// Ask the server that runs at --listen whether it is ready, for health checks: exit code 0 or 1
    Ready,
    /// Take over the conversations and messages of a Node service from its Postgres, into --database
    Import(ImportOptions),
}

/// Reads an address and a port; a name is looked up.
fn address(text: &str) -> Result<SocketAddr, String> {
    let found = text.to_socket_addrs().ok().and_then(|mut found| found.next());
    found.ok_or_else(|| {
        "must be an address of this machine and a port, such as 127.0.0.1:3000 or 0.0.0.0:3000"
            .into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_options_fit_together_and_each_has_a_variable_and_an_explanation() {
        Options::command().debug_assert();
        for argument in Options::command().get_arguments() {
            let name = argument.get_id().as_str();
            assert!(argument.get_help().is_some(), "{name}");
            let alone = ["check", "help", "version"].contains(&name);
            assert!(alone || argument.get_env().is_some(), "{name} has no variable");
        }
    }

    #[test]
    fn secrets_do_not_show_in_help_or_errors() {
        for argument in Options::command().get_arguments() {
            let name = argument.get_id().as_str();
            if ["database", "redis", "jwks", "jwt_secret"].contains(&name) {
                assert!(argument.is_hide_env_values_set(), "{name}");
            }
        }
    }

    #[test]
    fn keys_may_stand_before_and_after_the_subcommand() {
        for words in [
            ["parlor-server", "--jwt-secret", "x", "token", "--sub", "ann"],
            ["parlor-server", "token", "--sub", "ann", "--jwt-secret", "x"],
        ] {
            let options = Options::try_parse_from(words).unwrap();
            assert_eq!(options.keys.jwt_secret.unwrap().reveal(), "x");
            assert!(matches!(options.command, Some(Command::Token(token)) if token.sub == "ann"));
        }
    }
}
