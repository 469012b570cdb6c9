//! The options, checked: what is here makes sense together.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use parlor::{Config, auth::JwtBuilder, traits::Quota};

use crate::{
    failure::Failure,
    jwks,
    options::{KeyOptions, LimitOptions, Options, RunningOptions, StorageOptions},
    secret::{self, Secret},
};

/// Everything that the server needs to know.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) listen: SocketAddr,
    pub(crate) origins: Origins,
    pub(crate) page: bool,
    pub(crate) database: Database,
    pub(crate) redis: Option<Redis>,
    pub(crate) start_timeout: Duration,
    pub(crate) keys: Keys,
    pub(crate) demands: Demands,
    pub(crate) chat: Config,
    pub(crate) limits: LimitOptions,
    pub(crate) running: RunningOptions,
}

/// Which pages may come in besides the server's own.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Origins {
    Listed(Vec<String>),
    Any,
}

/// Where messages are kept.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Database {
    /// A file, or `:memory:`.
    Sqlite(String),
    Postgres(Postgres),
}

/// How Postgres is used.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Postgres {
    pub(crate) url: Secret,
    pub(crate) schema: String,
    pub(crate) migrate: bool,
    pub(crate) connections: Option<u32>,
    pub(crate) lanes: Option<usize>,
}

/// What several nodes share.
#[derive(Debug)]
pub(crate) struct Redis {
    pub(crate) url: Secret,
    pub(crate) prefix: String,
    pub(crate) authorities: Option<Vec<u8>>,
}

/// What tokens are checked with.
#[derive(Debug)]
pub(crate) enum Keys {
    Secret(Secret),
    Jwks(jwks::Settings),
    /// Anybody on this machine may come in by name. The secret of their tokens is in the file, or will be.
    Development {
        file: PathBuf,
    },
}

/// What tokens must say besides being signed.
#[derive(Debug, Clone)]
pub(crate) struct Demands {
    pub(crate) issuers: Vec<String>,
    pub(crate) audiences: Vec<String>,
    pub(crate) leeway: Duration,
}

impl Settings {
    /// Checks what was given.
    pub(crate) fn check(options: Options) -> Result<Self, Failure> {
        let local = is_local(options.listen);
        let database = Database::check(&options.storage)?;
        let authorities = options.storage.ca.as_deref().map(authorities).transpose()?;
        let redis = Redis::check(&options.storage, &database, authorities.clone())?;
        let keys = Keys::check(&options.keys, &database, authorities)?;
        keys.check_exposure(options.listen)?;
        let chat = chat(&options.limits, &options.running);
        let origins = Origins::check(options.any_origin, options.origins)?;
        Ok(Self {
            listen: options.listen,
            origins,
            page: options.page.unwrap_or(local),
            database,
            redis,
            start_timeout: options.storage.start_timeout,
            keys,
            demands: Demands::from(&options.keys),
            chat,
            limits: options.limits,
            running: options.running,
        })
    }
}

impl Origins {
    fn check(any: bool, origins: Vec<String>) -> Result<Self, Failure> {
        if any && !origins.is_empty() {
            return Err(Failure::Usage(
                "--any-origin (PARLOR_ANY_ORIGIN) and --origin (PARLOR_ORIGIN) are both set; set one of them".into(),
            ));
        }
        if any {
            return Ok(Self::Any);
        }
        for origin in &origins {
            let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
            let host = host.map(|host| host.trim_end_matches('/'));
            if host.is_none_or(|host| host.is_empty() || host.contains(['/', ' ', '*'])) {
                let must = format!(
                    "must be written as browsers do, such as https://app.example.com, and is {origin:?}"
                );
                return Err(Failure::option("--origin", "PARLOR_ORIGIN", must));
            }
        }
        Ok(Self::Listed(origins))
    }
}

impl Database {
    /// Reads where messages are kept.
    pub(crate) fn check(options: &StorageOptions) -> Result<Self, Failure> {
        let file = options.database_file.as_deref();
        // The default is no choice of the user's.
        let given = Some(&options.database)
            .filter(|url| file.is_none() || url.reveal() != "sqlite:parlor.db");
        let url = secret::given_or_in_file(given, file, "--database")?;
        let wrong = |must: &str| Failure::option("--database", "DATABASE_URL", must);
        let url = url.filter(|url| !url.reveal().trim().is_empty()).ok_or_else(|| {
            wrong("is empty: give sqlite:FILE or postgres://USER:PASSWORD@HOST/DATABASE")
        })?;
        let text = url.reveal();
        if let Some(rest) = text.strip_prefix("sqlite:") {
            let file = rest.strip_prefix("//").unwrap_or(rest);
            if file.is_empty() {
                return Err(wrong("must name a file, such as sqlite:chat.db"));
            }
            return Ok(Self::Sqlite(file.to_owned()));
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::Postgres(Postgres {
                schema: options.database_schema.clone(),
                migrate: options.migrate,
                connections: options.database_connections,
                lanes: options.database_lanes.map(usize::from),
                url,
            }));
        }
        Err(wrong("must begin with sqlite: or postgres://"))
    }
}

impl Redis {
    /// Reads what several nodes share.
    fn check(
        options: &StorageOptions,
        database: &Database,
        authorities: Option<Vec<u8>>,
    ) -> Result<Option<Self>, Failure> {
        let file = options.redis_file.as_deref();
        let url = secret::given_or_in_file(options.redis.as_ref(), file, "--redis")?;
        let Some(url) = url else { return Ok(None) };
        if matches!(database, Database::Sqlite(_)) {
            return Err(Failure::Usage(
                "--redis is for several nodes, and a SQLite file belongs to one process: \
                 give --database postgres://… as well, or leave --redis (REDIS_URL) out"
                    .into(),
            ));
        }
        if !["redis://", "rediss://"].iter().any(|scheme| url.reveal().starts_with(scheme)) {
            let must = "must begin with redis://, or rediss:// for TLS";
            return Err(Failure::option("--redis", "REDIS_URL", must));
        }
        Ok(Some(Self { url, prefix: options.redis_prefix.clone(), authorities }))
    }
}

/// Reads the certificates of authorities.
fn authorities(file: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(file).map_err(|error| {
        let must = format!("{} cannot be read: {error}", file.display());
        Failure::option("--ca", "PARLOR_CA", must)
    })
}

impl Keys {
    /// Reads what tokens are checked with. Without a key and on a SQLite file there is one for development.
    pub(crate) fn check(
        options: &KeyOptions,
        database: &Database,
        authorities: Option<Vec<u8>>,
    ) -> Result<Self, Failure> {
        let file = options.jwt_secret_file.as_deref();
        let secret = secret::given_or_in_file(options.jwt_secret.as_ref(), file, "--jwt-secret")?;
        match (secret, &options.jwks, database) {
            (Some(_), Some(_), _) => Err(Failure::Usage(
                "--jwt-secret (JWT_SECRET) and --jwks (JWKS_URL) are both set: tokens are checked with one of them"
                    .into(),
            )),
            (Some(secret), None, _) => {
                let source = match file {
                    Some(file) => format!("the secret in {}", file.display()),
                    None => "--jwt-secret (JWT_SECRET)".into(),
                };
                secret.check_length(&source)?;
                Ok(Self::Secret(secret))
            }
            (None, Some(url), _) => Ok(Self::Jwks(jwks::Settings::check(url, options, authorities)?)),
            (None, None, Database::Sqlite(file)) if demands_nothing(options) => {
                let file = file.split('?').next().unwrap_or(file);
                Ok(Self::Development { file: PathBuf::from(format!("{file}.secret")) })
            }
            (None, None, _) => Err(missing("tokens need a key to be checked with")),
        }
    }

    /// Refuses keys that would let strangers in who can reach the server.
    fn check_exposure(&self, listen: SocketAddr) -> Result<(), Failure> {
        if is_local(listen) {
            return Ok(());
        }
        match self {
            Self::Secret(secret) if secret.is_guessable() => Err(Failure::option(
                "--jwt-secret",
                "JWT_SECRET",
                format!(
                    "can be guessed, and others can reach {listen}; make a random one with: openssl rand -hex 32"
                ),
            )),
            Self::Development { .. } => Err(missing(&format!(
                "others can reach {listen}, so tokens need a key to be checked with"
            ))),
            _ => Ok(()),
        }
    }
}

fn demands_nothing(options: &KeyOptions) -> bool {
    let demands = Demands::from(options);
    demands.issuers.is_empty() && demands.audiences.is_empty()
}

fn missing(why: &str) -> Failure {
    Failure::Usage(format!(
        "{why}: give --jwt-secret (JWT_SECRET) or --jwt-secret-file when your own server signs tokens, \
         or --jwks (JWKS_URL) for the keys of an identity provider. A secret is made with: openssl rand -hex 32"
    ))
}

impl Demands {
    /// Makes an authenticator ask for them.
    pub(crate) fn apply(&self, builder: JwtBuilder) -> JwtBuilder {
        let builder = builder.leeway(self.leeway);
        let builder = self.issuers.iter().fold(builder, JwtBuilder::issuer);
        self.audiences.iter().fold(builder, JwtBuilder::audience)
    }
}

impl From<&KeyOptions> for Demands {
    fn from(options: &KeyOptions) -> Self {
        Self {
            issuers: options.jwt_issuers.clone(),
            audiences: options.jwt_audiences.clone(),
            leeway: options.jwt_leeway,
        }
    }
}

/// The engine's settings.
fn chat(limits: &LimitOptions, running: &RunningOptions) -> Config {
    let mut chat = Config::default();
    chat.connections = limits.connections;
    chat.connections_per_address = limits.connections_per_address;
    chat.connections_per_user = limits.connections_per_user;
    let burst = limits.sends_burst.unwrap_or(limits.sends_per_second.saturating_mul(2));
    chat.sends = Quota::new(limits.sends_per_second, burst);
    chat.sweep_interval = running.sweep_interval;
    chat.presence_lease = running.presence_lease;
    // Two renewals may be lost before a user goes offline.
    chat.presence_renewal = running.presence_lease / 3;
    chat.offline_grace = running.presence_grace;
    chat
}

/// Whether only this machine can reach an address.
pub(crate) fn is_local(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}
