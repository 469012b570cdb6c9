//! Fetches one document over HTTP, within bounds.

use std::{fmt, time::Duration};

use ureq::{
    Agent,
    tls::{PemItem, RootCerts, TlsConfig, parse_pem},
};

use crate::failure::Failure;

/// A fetch has ended after this time, whatever the source does.
pub(super) const DEADLINE: Duration = Duration::from_secs(5);
/// Largest document, in bytes; a set of keys has a few thousand.
const LARGEST: u64 = 256 * 1024;
/// Redirections that are followed; from https to https alone.
const REDIRECTS: u32 = 3;

/// Where a document is fetched from.
pub(super) struct Source {
    agent: Agent,
    url: String,
}

impl Source {
    pub(super) fn new(url: &str, authorities: Option<&[u8]>) -> Result<Self, Failure> {
        let mut tls = TlsConfig::builder();
        if let Some(pem) = authorities {
            tls = tls.root_certs(certificates(pem)?);
        }
        let agent = Agent::config_builder()
            .timeout_global(Some(DEADLINE))
            .https_only(url.starts_with("https://"))
            .max_redirects(REDIRECTS)
            .user_agent(concat!("parlor-server/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls.build())
            .build()
            .new_agent();
        Ok(Self { agent, url: url.to_owned() })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// The document, or why there is none.
    pub(super) async fn fetch(&self) -> Result<Vec<u8>, String> {
        let (agent, url) = (self.agent.clone(), self.url.clone());
        // The client blocks, on a thread that may.
        let fetched = tokio::task::spawn_blocking(move || {
            let mut response = agent.get(&url).call()?;
            response.body_mut().with_config().limit(LARGEST).read_to_vec()
        });
        match fetched.await {
            Ok(document) => document.map_err(|error| error.to_string()),
            Err(_) => Err("the fetch was broken off".into()),
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("url", &self.url).finish_non_exhaustive()
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
