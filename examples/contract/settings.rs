//! What the environment says, in the names that the documented services use.

use std::{
    env,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

/// Signs and checks tokens where no secret was chosen, on this machine alone.
const DEVELOPMENT_SECRET: &str = "a development secret that everybody knows";

pub(crate) struct Settings {
    pub(crate) name: &'static str,
    pub(crate) listen: SocketAddr,
    pub(crate) secret: String,
    pub(crate) token_life: Duration,
    pub(crate) database: String,
    pub(crate) redis: Option<String>,
    pub(crate) redis_prefix: String,
    pub(crate) frontends: Vec<String>,
    /// Whether anybody may say who they are without proof: on this machine alone.
    pub(crate) dev_tokens: bool,
}

impl Settings {
    pub(crate) fn from_env(name: &'static str, port: u16) -> Result<Self, String> {
        let port = match first(&["PORT", "CHAT_SERVICE_PORT"]) {
            Some((variable, value)) => {
                value.parse().map_err(|error| format!("{variable} must be a port: {error}"))?
            }
            None => port,
        };
        let host = match first(&["HOST"]) {
            Some((_, value)) => {
                value.parse().map_err(|error| format!("HOST must be an IP address: {error}"))?
            }
            None => IpAddr::from(Ipv4Addr::LOCALHOST),
        };
        let listen = SocketAddr::new(host, port);
        let secret = match first(&["JWT_SECRET"]) {
            Some((_, secret)) => secret,
            None if listen.ip().to_canonical().is_loopback() => DEVELOPMENT_SECRET.to_owned(),
            None => {
                return Err(format!(
                    "JWT_SECRET must be set to a random secret of at least 32 bytes, because {listen} \
                     can be reached from outside"
                ));
            }
        };
        let token_life = match first(&["JWT_EXPIRES_IN"]) {
            Some((_, text)) => duration(&text)
                .ok_or("JWT_EXPIRES_IN must be a time such as 3600, 90s, 60m, 12h or 7d")?,
            None => Duration::from_secs(12 * 3600),
        };
        let database = match first(&["DATABASE_URL"]) {
            Some((_, url)) => url,
            None => postgres_url()?.unwrap_or_else(|| format!("sqlite:{name}.db")),
        };
        let redis = first(&["REDIS_URL"]).map(|(_, url)| url);
        let redis_prefix = first(&["REDIS_PREFIX"]).map_or("parlor".to_owned(), |(_, it)| it);
        let frontends = first(&["FRONTEND_URL"])
            .map(|(_, urls)| urls.split(',').map(|url| url.trim().to_owned()).collect())
            .unwrap_or_default();
        let dev_tokens = first(&["DEV_TOKENS"]).is_some_and(|(_, value)| value == "1")
            && listen.ip().to_canonical().is_loopback();
        Ok(Self {
            dev_tokens,
            name,
            listen,
            secret,
            token_life,
            database,
            redis,
            redis_prefix,
            frontends,
        })
    }
}

/// The first of these variables that is set to something.
fn first(names: &[&'static str]) -> Option<(&'static str, String)> {
    names.iter().find_map(|name| {
        let value = env::var(name).ok().filter(|value| !value.trim().is_empty())?;
        Some((*name, value))
    })
}

/// A URL put together from DATABASE_HOST and its companions.
fn postgres_url() -> Result<Option<String>, String> {
    let Some((_, host)) = first(&["DATABASE_HOST"]) else { return Ok(None) };
    let part = |name, otherwise: &str| {
        first(&[name]).map_or_else(|| otherwise.to_owned(), |(_, value)| escaped(&value))
    };
    let user = part("DATABASE_USER", "postgres");
    let password = part("DATABASE_PASSWORD", "");
    let port: u16 = part("DATABASE_PORT", "5432")
        .parse()
        .map_err(|error| format!("DATABASE_PORT must be a port: {error}"))?;
    let database = part("DATABASE_NAME", "postgres");
    Ok(Some(format!("postgres://{user}:{password}@{host}:{port}/{database}")))
}

/// A text as it stands in a URL.
fn escaped(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

/// `3600`, `90s`, `60m`, `12h`, `7d`.
fn duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = text.trim_end_matches(|unit: char| unit.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 24 * 3600,
        _ => return None,
    };
    Some(Duration::from_secs(digits.trim().parse::<u64>().ok()?.checked_mul(unit)?))
}
