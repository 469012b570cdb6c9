//! Fetches one document over HTTP, within bounds.

use std::{fmt, time::Duration};

use ureq::{
    Agent,
    tls::{PemItem, RootCerts, TlsConfig, parse_pem},
};

use crate::{failure::Failure, secret::Secret};

/// A fetch has ended after this time, whatever the source does.
pub(super) const DEADLINE: Duration = Duration::from_secs(5);
/// Largest document, in bytes; a set of keys has a few thousand.
const LARGEST: u64 = 256 * 1024;
/// Redirections that are followed; from https to https alone, and from http only where that is asked for.
const REDIRECTS: u32 = 3;

/// Where a document is fetched from.
pub(super) struct Source {
    agent: Agent,
    url: Secret,
}

impl Source {
    /// `insecure` follows redirections to plain http.
    pub(super) fn new(
        url: &Secret,
        insecure: bool,
        authorities: Option<&[u8]>,
    ) -> Result<Self, Failure> {
        let https = url.reveal().starts_with("https://");
        let mut tls = TlsConfig::builder();
        if let Some(pem) = authorities {
            tls = tls.root_certs(certificates(pem)?);
        }
        let agent = Agent::config_builder()
            .timeout_global(Some(DEADLINE))
            .https_only(https && !insecure)
            .max_redirects(if https || insecure { REDIRECTS } else { 0 })
            .user_agent(concat!("parlor-server/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls.build())
            .build()
            .new_agent();
        Ok(Self { agent, url: url.clone() })
    }

    /// The URL, to be shown.
    pub(super) fn shown(&self) -> String {
        self.url.without_password()
    }

    /// The document, or why there is none.
    pub(super) async fn fetch(&self) -> Result<Vec<u8>, String> {
        let (agent, url) = (self.agent.clone(), self.url.clone());
        // The client blocks, on a thread that may.
        let fetched = tokio::task::spawn_blocking(move || {
            let mut response = agent.get(url.reveal()).call()?;
            if response.status() != 200 {
                return Err(ureq::Error::StatusCode(response.status().as_u16()));
            }
            response.body_mut().with_config().limit(LARGEST).read_to_vec()
        });
        match fetched.await {
            Ok(document) => document.map_err(reason),
            Err(_) => Err("the fetch was broken off".into()),
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("url", &self.url).finish_non_exhaustive()
    }
}

/// Why there is no document, without the URL, which may hold secrets.
fn reason(error: ureq::Error) -> String {
    match error {
        ureq::Error::BadUri(_) => "the URL cannot be used".into(),
        ureq::Error::RequireHttpsOnly(_) => "it redirects to a URL without https".into(),
        error => error.to_string(),
    }
}

fn certificates(pem: &[u8]) -> Result<RootCerts, Failure> {
    let certificates: Vec<_> = parse_pem(pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if certificates.is_empty() {
        let must = "must be a file with certificates in PEM (-----BEGIN CERTIFICATE-----)";
        return Err(Failure::option("--ca", "PARLOR_CA", must));
    }
    Ok(RootCerts::from(certificates))
}
