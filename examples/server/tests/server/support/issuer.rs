use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{SystemTime, UNIX_EPOCH},
};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::get,
};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, jwk::Jwk};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch};

/// A private key with its id.
pub(crate) struct Signer {
    id: &'static str,
    algorithm: Algorithm,
    key: EncodingKey,
}

impl Signer {
    pub(crate) fn rsa(id: &'static str) -> Self {
        let pem = include_bytes!("../../../../../chat-core/tests/keys/test-only-rsa.pem");
        let key = EncodingKey::from_rsa_pem(pem).unwrap();
        Self { id, algorithm: Algorithm::RS256, key }
    }

    pub(crate) fn ec(id: &'static str) -> Self {
        let pem = include_bytes!("../../../../../chat-core/tests/keys/test-only-ec.pem");
        let key = EncodingKey::from_ec_pem(pem).unwrap();
        Self { id, algorithm: Algorithm::ES256, key }
    }

    pub(crate) fn ed(id: &'static str) -> Self {
        let pem = include_bytes!("../../../../../chat-core/tests/keys/test-only-ed.pem");
        let key = EncodingKey::from_ed_pem(pem).unwrap();
        Self { id, algorithm: Algorithm::EdDSA, key }
    }

    /// A token for the audience `chat`, good for an hour.
    pub(crate) fn token(&self, user: &str) -> String {
        let header = Header { kid: Some(self.id.into()), ..Header::new(self.algorithm) };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let claims = json!({ "sub": user, "aud": "chat", "exp": now + 3600 });
        encode(&header, &claims, &self.key).unwrap()
    }

    fn published(&self) -> Value {
        let jwk = Jwk::from_encoding_key(&self.key, self.algorithm).unwrap();
        let mut jwk = serde_json::to_value(jwk).unwrap();
        jwk["kid"] = self.id.into();
        jwk
    }
}

/// An identity provider that publishes keys.
pub(crate) struct Issuer {
    address: SocketAddr,
    published: Arc<Mutex<Published>>,
    asked: watch::Receiver<usize>,
}

#[derive(Default)]
struct Published {
    status: StatusCode,
    body: String,
    location: Option<&'static str>,
    /// The path and the credentials that were asked with last.
    last: (String, Option<String>),
}

impl Issuer {
    /// Publishes these keys.
    pub(crate) async fn start(signers: &[&Signer]) -> Self {
        let published = Arc::<Mutex<Published>>::default();
        let (asking, asked) = watch::channel(0);
        let app = Router::new()
            .route("/keys", get(answer))
            .with_state((Arc::clone(&published), Arc::new(asking)));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        let issuer = Self { address, published, asked };
        issuer.publish(signers);
        issuer
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/keys", self.address)
    }

    /// From now on publishes these keys.
    pub(crate) fn publish(&self, signers: &[&Signer]) {
        self.answer_with(StatusCode::OK, Self::document(signers));
    }

    /// The key set of these keys.
    pub(crate) fn document(signers: &[&Signer]) -> String {
        let keys: Vec<Value> = signers.iter().map(|signer| signer.published()).collect();
        json!({ "keys": keys }).to_string()
    }

    /// From now on answers so.
    pub(crate) fn answer_with(&self, status: StatusCode, body: String) {
        let mut published = self.published.lock().unwrap();
        (published.status, published.body, published.location) = (status, body, None);
    }

    /// From now on sends those who ask elsewhere.
    pub(crate) fn redirect_to(&self, url: &'static str) {
        let mut published = self.published.lock().unwrap();
        (published.status, published.location) = (StatusCode::FOUND, Some(url));
    }

    /// The path and the credentials that it was asked with last.
    pub(crate) fn last_asked(&self) -> (String, Option<String>) {
        self.published.lock().unwrap().last.clone()
    }

    /// How often it was asked.
    pub(crate) fn asked(&self) -> usize {
        *self.asked.borrow()
    }

    /// Waits until it was asked so often.
    pub(crate) async fn until_asked(&mut self, times: usize) {
        let waited = self.asked.wait_for(|asked| *asked >= times);
        tokio::time::timeout(super::PATIENCE, waited).await.expect("it is asked").unwrap();
    }
}

type Shared = (Arc<Mutex<Published>>, Arc<watch::Sender<usize>>);

async fn answer(
    State((published, asking)): State<Shared>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let mut published = published.lock().unwrap();
    let credentials = headers.get(header::AUTHORIZATION);
    let credentials = credentials.map(|value| value.to_str().unwrap().to_owned());
    published.last = (uri.to_string(), credentials);
    asking.send_modify(|asked| *asked += 1);
    let answer = (published.status, published.body.clone());
    match published.location {
        Some(location) => ([(header::LOCATION, location)], answer).into_response(),
        None => answer.into_response(),
    }
}
