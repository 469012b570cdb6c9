//! A chat server on parlor: the crates of this repository put together, configured by flags and environment
//! variables. `parlor-server --help` explains them.

mod allocator;
mod backends;
mod check;
mod duration;
mod failure;
mod health;
mod identity;
mod import;
mod inspect;
mod jwks;
mod log;
mod login;
mod metrics;
mod options;
#[path = "../page/mod.rs"]
mod page;
mod places;
mod ready;
mod secret;
mod serve;
mod settings;
mod start;
mod stop;
mod token;
mod unlimited;

use std::process::ExitCode;

use crate::{
    failure::Failure,
    options::{Command, Options},
    settings::Settings,
};

fn main() -> ExitCode {
    match run(Options::read()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.tell(),
    }
}

fn run(options: Options) -> Result<(), Failure> {
    match &options.command {
        Some(Command::Token(token)) => {
            println!("{}", token::sign(&options, token)?);
            return Ok(());
        }
        Some(Command::Schema) => {
            print!("{}", inspect::schema(&options.storage)?);
            return Ok(());
        }
        Some(Command::Ready) => return ready::ask(options.listen),
        Some(Command::Import(import)) => return import::start(&options, import),
        None => {}
    }
    let check_only = options.check;
    let settings = Settings::check(options)?;
    log::start(&settings.running)?;
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|error| Failure::Start(format!("the runtime cannot be started: {error}")))?;
    let done = runtime.block_on(async {
        match check_only {
            true => check::run(&settings).await,
            false => start::run(settings).await,
        }
    });
    // A fetch of keys that still blocks its thread is not waited for.
    runtime.shutdown_background();
    done
}
