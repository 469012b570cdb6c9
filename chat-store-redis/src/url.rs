//! From a URL to a client.

use redis::{Client, ConnectionAddr, IntoConnectionInfo, ProtocolVersion, TlsCertificates};
use rustls::{
    crypto::CryptoProvider,
    pki_types::{CertificateDer, pem::PemObject},
};
use url::Url;

use crate::{RedisConfig, connection::Connector, error::Fault};

/// A client that has not connected yet.
///
/// # Errors
/// Says what is wrong with the URL, in words that show nothing of it but its scheme.
pub(crate) fn client(url: &str, config: &RedisConfig) -> Result<Client, Fault> {
    let parsed = Url::parse(url).map_err(|reason| {
        Fault::configuration(format!(
            "the URL of Redis: {reason}; it looks like redis://user:password@host:6379, \
             with / ? # @ : in the password percent-encoded"
        ))
    })?;
    if redis::parse_redis_url(url).is_none() {
        return Err(Fault::configuration(format!(
            "the URL of Redis: begins with redis:// or rediss://, not {}://",
            parsed.scheme()
        )));
    }
    let info = url.into_connection_info().map_err(of_url)?;
    // Pushes beside answers, which the bus lives by, are of this version.
    let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    let info = info.set_redis_settings(settings).set_tcp_settings(Connector::tcp_settings());
    if let ConnectionAddr::TcpTls { insecure, .. } = info.addr() {
        if *insecure {
            return Err(Fault::configuration(
                "the URL of Redis: #insecure is not supported; for certificates of your own there is \
                 RedisConfig::root_certificates",
            ));
        }
        install_crypto();
        let root_cert = config.root_certificates.clone();
        root_cert.as_deref().map_or(Ok(()), check_certificates)?;
        let certificates = TlsCertificates { client_tls: None, root_cert };
        return Client::build_with_tls(info, certificates).map_err(of_certificates);
    }
    Client::open(info).map_err(of_url)
}

fn of_url(error: redis::RedisError) -> Fault {
    Fault::configuration(format!("the URL of Redis: {error}"))
}

/// A text without certificates would trust nobody, and nothing would say why.
fn check_certificates(pem: &[u8]) -> Result<(), Fault> {
    let found = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let found =
        found.map_err(|reason| Fault::configuration(format!("root_certificates: {reason}")));
    if found?.is_empty() {
        return Err(Fault::configuration("root_certificates: there is no certificate in PEM form"));
    }
    Ok(())
}

fn of_certificates(error: redis::RedisError) -> Fault {
    Fault::configuration(format!("root_certificates: {error}"))
}

/// TLS takes the process' cryptography. A host that chose one keeps it.
fn install_crypto() {
    if CryptoProvider::get_default().is_none() {
        // Somebody may be quicker: then theirs serves.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}
