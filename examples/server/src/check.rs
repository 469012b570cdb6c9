//! `parlor-server --check`: can everything be reached? Nothing is made or changed.

use std::time::Duration;

use crate::{
    failure::Failure,
    inspect,
    jwks::JwksAuthenticator,
    settings::{Keys, Settings},
};

/// Who does not answer within this time is not there.
const PATIENCE: Duration = Duration::from_secs(10);

/// Prints a line for each of database, Redis and keys.
pub(crate) async fn run(settings: &Settings) -> Result<(), Failure> {
    let mut failed = false;
    let mut tell = |what: &str, place: &str, outcome: Result<String, String>| match outcome {
        Ok(detail) => println!("{what}: ok, {place}{detail}"),
        Err(reason) => {
            failed = true;
            println!("{what}: FAILED, {place}: {reason}");
        }
    };
    tell(
        "database",
        &settings.database.shown(),
        in_time(inspect::database(&settings.database)).await,
    );
    if let Some(redis) = &settings.redis {
        let pinged = async {
            let shared = redis.open().await?;
            Ok(shared.ping().await.map(|()| String::new()).map_err(|error| error.to_string()))
        };
        tell("redis", &redis.url.without_password(), pinged.await?);
    }
    match &settings.keys {
        Keys::Jwks(keys) => {
            let fetched = match JwksAuthenticator::new(keys, &settings.demands) {
                Ok(jwks) => in_time(jwks.fetch()).await,
                Err(failure) => return Err(failure),
            };
            tell("keys", &keys.shown(), fetched.map(|()| String::new()));
        }
        Keys::Secret(_) => tell("keys", "a secret", Ok(String::new())),
        Keys::Development { file } => {
            let place = format!("the development secret in {}", file.display());
            let found = inspect::readable(file).map(|found| format!(": {found}"));
            tell("keys", &place, found.map(|found| format!("{found}, for this machine alone")));
        }
    }
    if failed { Err(Failure::Told) } else { Ok(()) }
}

async fn in_time<T>(outcome: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    tokio::time::timeout(PATIENCE, outcome)
        .await
        .unwrap_or_else(|_| Err(format!("no answer within {} s", PATIENCE.as_secs())))
}
