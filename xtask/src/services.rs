//! Postgres and Redis for the tests: servers of our own, in temporary folders, on free ports.

use std::process::Command;

use parlor_test_services::{Postgres, Redis, missing};

use crate::{packages, run::Outcome};

/// Running servers. They end with the value.
pub(crate) struct Services {
    postgres: Postgres,
    redis: Redis,
}

impl Services {
    /// Starts both, after installing what is missing.
    pub(crate) fn start() -> Outcome<Self> {
        install_missing()?;
        let services = Self { postgres: Postgres::start()?, redis: Redis::start()? };
        println!("Postgres at {}, Redis at {}", services.postgres.url(), services.redis.url());
        Ok(services)
    }

    /// Tells a command where they are.
    pub(crate) fn tell<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .env("PARLOR_TEST_POSTGRES", self.postgres.url())
            .env("PARLOR_TEST_REDIS", self.redis.url())
    }
}

/// Installs the servers' programs where they are missing, or says how to.
pub(crate) fn install_missing() -> Outcome {
    packages::install(
        &missing(),
        "The tests start a Postgres (14 or newer) and a Redis (6.2 or newer, or Valkey) of their own: \
         initdb and redis-server must be installed, and on the PATH where they are not Debian's.",
    )
}
