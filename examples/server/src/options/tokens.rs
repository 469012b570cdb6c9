use std::{path::PathBuf, time::Duration};

use clap::{Args, builder::NonEmptyStringValueParser};

use crate::{
    duration::{parse, parse_some},
    secret::Secret,
};

/// What tokens are checked with.
#[derive(Debug, Args)]
pub(crate) struct KeyOptions {
    /// The secret that your own server signs tokens with (HS256); at least 32 bytes
    ///
    /// Clients show a JSON Web Token: `sub` is the user, `exp` its end, `name` and `picture` are shown to others.
    /// Without any key, and on this machine alone, the server makes a secret beside its SQLite file and lets anybody
    /// in by name: for development.
    #[arg(long, env = "JWT_SECRET", value_name = "SECRET", hide_env_values = true, global = true)]
    pub(crate) jwt_secret: Option<Secret>,

    /// A file with the secret, instead of --jwt-secret
    #[arg(long, env = "JWT_SECRET_FILE", value_name = "FILE", global = true)]
    pub(crate) jwt_secret_file: Option<PathBuf>,

    /// The URL of an identity provider's keys (JWKS), instead of a secret
    ///
    /// RSA (RS256), EC P-256 (ES256) and Ed25519 (EdDSA) keys are taken. Which algorithm a key is for is said by the key,
    /// never by a token.
    #[arg(long = "jwks", env = "JWKS_URL", value_name = "URL", hide_env_values = true)]
    pub(crate) jwks: Option<Secret>,

    /// Fetch the keys by http:// from another machine as well, where whoever is in between can put in keys of their own
    #[arg(
        long,
        env = "PARLOR_JWKS_INSECURE",
        value_parser = clap::builder::FalseyValueParser::new()
    )]
    pub(crate) jwks_insecure: bool,

    /// How often the keys are fetched again
    #[arg(
        long,
        env = "PARLOR_JWKS_REFRESH",
        value_name = "TIME",
        default_value = "10m",
        value_parser = parse_some
    )]
    pub(crate) jwks_refresh: Duration,

    /// How long after a fetch the next one waits that a token with an unknown key asks for
    #[arg(
        long,
        env = "PARLOR_JWKS_COOLDOWN",
        value_name = "TIME",
        default_value = "30s",
        value_parser = parse_some
    )]
    pub(crate) jwks_cooldown: Duration,

    /// Take only tokens of this issuer (`iss`); may be repeated [default: any]
    #[arg(
        long = "jwt-issuer",
        env = "JWT_ISSUER",
        value_name = "TEXT",
        value_delimiter = ',',
        value_parser = NonEmptyStringValueParser::new(),
        global = true
    )]
    pub(crate) jwt_issuers: Vec<String>,

    /// Take only tokens for this audience (`aud`); may be repeated [default: any]
    #[arg(
        long = "jwt-audience",
        env = "JWT_AUDIENCE",
        value_name = "TEXT",
        value_delimiter = ',',
        value_parser = NonEmptyStringValueParser::new(),
        global = true
    )]
    pub(crate) jwt_audiences: Vec<String>,

    /// How far the issuer's clock may be off
    #[arg(
        long,
        env = "PARLOR_JWT_LEEWAY",
        value_name = "TIME",
        default_value = "30s",
        value_parser = parse
    )]
    pub(crate) jwt_leeway: Duration,
}

/// What a token for trying out says.
#[derive(Debug, Args)]
pub(crate) struct TokenOptions {
    /// The user: your own id of them
    #[arg(long, value_name = "USER")]
    pub(crate) sub: String,

    /// The name that others see
    #[arg(long, value_name = "TEXT")]
    pub(crate) name: Option<String>,

    /// How long it is good for
    #[arg(long, value_name = "TIME", default_value = "12h", value_parser = parse_some)]
    pub(crate) ttl: Duration,
}
