//! Tokens checked with the keys that an identity provider publishes, which change now and then.

mod fetch;

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use axum::http::Uri;
use parking_lot::RwLock;
use parlor::{
    BackendError, BackendErrorKind, Error,
    auth::JwtAuthenticator,
    model::Identity,
    traits::{Authenticator, Credentials},
};
use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
};

use self::fetch::Source;
use crate::{failure::Failure, options::KeyOptions, secret::Secret, settings::Demands};

/// Where the keys are, and when they are fetched.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    url: Secret,
    insecure: bool,
    authorities: Option<Vec<u8>>,
    refresh: Duration,
    cooldown: Duration,
}

impl Settings {
    /// Checks the URL. `authorities` are certificates in PEM.
    pub(crate) fn check(
        url: &Secret,
        options: &KeyOptions,
        authorities: Option<Vec<u8>>,
    ) -> Result<Self, Failure> {
        let wrong = |must: String| Failure::option("--jwks", "JWKS_URL", must);
        let parsed = url.reveal().parse::<Uri>().ok();
        let host = parsed.as_ref().and_then(Uri::host);
        let scheme = parsed.as_ref().and_then(Uri::scheme_str);
        match (scheme, host) {
            (Some("https"), Some(_)) => {}
            (Some("http"), Some(host)) if is_here(host) || options.jwks_insecure => {}
            (Some("http"), Some(_)) => {
                return Err(wrong(format!(
                    "is {}: whoever is in between could put in keys of their own. Give an https:// URL, or add \
                     --jwks-insecure (PARLOR_JWKS_INSECURE) where nobody is",
                    url.without_password()
                )));
            }
            _ => {
                return Err(wrong(
                    "must be a URL such as https://login.example.com/.well-known/jwks.json".into(),
                ));
            }
        }
        Ok(Self {
            url: url.clone(),
            insecure: options.jwks_insecure,
            authorities,
            refresh: options.jwks_refresh,
            cooldown: options.jwks_cooldown,
        })
    }

    /// How often the keys are fetched again.
    pub(crate) fn refresh(&self) -> Duration {
        self.refresh
    }

    /// The URL, to be shown.
    pub(crate) fn shown(&self) -> String {
        self.url.without_password()
    }
}

/// Whether a host in a URL is this machine.
fn is_here(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

/// Authenticates JSON Web Tokens with keys from a URL.
///
/// Keys are fetched again in regular turns, and when a token names one that is not known, but not more often
/// than the cooldown allows. While the source does not answer the last keys stay.
#[derive(Debug)]
pub(crate) struct JwksAuthenticator {
    shared: Arc<Shared>,
    /// Ends with the authenticator.
    refreshing: JoinSet<()>,
}

#[derive(Debug)]
struct Shared {
    source: Source,
    demands: Demands,
    cooldown: Duration,
    keys: RwLock<Option<Arc<JwtAuthenticator>>>,
    /// When the last fetch ended, well or not.
    fetched: watch::Sender<Option<Instant>>,
    /// A token names a key that is not known.
    wanted: Notify,
}

impl JwksAuthenticator {
    /// Prepares to fetch. Without [`Self::keep_fresh`] there are no keys.
    pub(crate) fn new(settings: &Settings, demands: &Demands) -> Result<Self, Failure> {
        let source =
            Source::new(&settings.url, settings.insecure, settings.authorities.as_deref())?;
        Ok(Self {
            shared: Arc::new(Shared {
                source,
                demands: demands.clone(),
                cooldown: settings.cooldown,
                keys: RwLock::new(None),
                fetched: watch::channel(None).0,
                wanted: Notify::new(),
            }),
            refreshing: JoinSet::new(),
        })
    }

    /// Fetches the keys now. Says how many the set held, or why there are none.
    pub(crate) async fn fetch(&self) -> Result<(), String> {
        self.shared.fetch().await
    }

    /// From now on fetches again every `refresh`, and when tokens ask for it.
    pub(crate) fn keep_fresh(mut self, refresh: Duration) -> Self {
        let shared = Arc::clone(&self.shared);
        self.refreshing.spawn(async move { shared.keep_fresh(refresh).await });
        self
    }
}

#[async_trait]
impl Authenticator for JwksAuthenticator {
    async fn authenticate(&self, credentials: &Credentials) -> Result<Identity, Error> {
        let mut keys = self.shared.keys();
        if keys.as_ref().is_none_or(|keys| keys.lacks_key(credentials)) {
            self.shared.look_again().await;
            keys = self.shared.keys();
        }
        match keys {
            Some(keys) => keys.authenticate(credentials).await,
            None => Err(BackendError::new(BackendErrorKind::Unavailable, "jwks").into()),
        }
    }
}

impl Shared {
    fn keys(&self) -> Option<Arc<JwtAuthenticator>> {
        self.keys.read().clone()
    }

    fn is_cooling(&self) -> bool {
        self.fetched.borrow().is_some_and(|last| last.elapsed() < self.cooldown)
    }

    /// Waits for the keys to be fetched once more, unless they were a moment ago.
    async fn look_again(&self) {
        let mut fetched = self.fetched.subscribe();
        if self.is_cooling() {
            return;
        }
        self.wanted.notify_one();
        // Ends with the fetch, which has a deadline of its own. A token that waits asks for one fetch, however
        // many wait with it.
        let _ = tokio::time::timeout(fetch::DEADLINE * 2, fetched.changed()).await;
    }

    async fn keep_fresh(&self, refresh: Duration) {
        let mut failed = false;
        loop {
            // A source that failed is asked again soon.
            let pause = if failed { refresh.min(self.cooldown) } else { refresh };
            let last = *self.fetched.borrow();
            let due = last.map_or_else(Instant::now, |last| last + pause);
            tokio::select! {
                () = tokio::time::sleep_until(due.into()) => {}
                () = self.wanted.notified() => {
                    if self.is_cooling() {
                        continue;
                    }
                }
            }
            let url = self.source.shown();
            let fetched = self.fetch().await;
            match &fetched {
                Ok(()) if failed => tracing::info!(url, "keys can be fetched again"),
                Ok(()) => {}
                Err(reason) => {
                    tracing::warn!(url, reason, "keys cannot be fetched; the last ones stay");
                }
            }
            failed = fetched.is_err();
        }
    }

    async fn fetch(&self) -> Result<(), String> {
        let fetched = self.read().await;
        let outcome = match &fetched {
            Ok(_) => "ok",
            Err(_) => "failed",
        };
        metrics::counter!("parlor_jwks_fetches_total", "outcome" => outcome).increment(1);
        let done = fetched.map(|keys| *self.keys.write() = Some(Arc::new(keys)));
        self.fetched.send_replace(Some(Instant::now()));
        done
    }

    async fn read(&self) -> Result<JwtAuthenticator, String> {
        let document = self.source.fetch().await?;
        let builder = JwtAuthenticator::builder().jwks(document);
        self.demands.apply(builder).build().map_err(|error| error.to_string())
    }
}
