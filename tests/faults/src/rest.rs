//! Questions over REST, as any user.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use jsonwebtoken::{EncodingKey, Header, encode};
use reqwest::{Method, Response, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::{Result, cluster::SECRET, wire::user};

/// A token is good for as long as any run takes.
const TOKEN_LIFE: Duration = Duration::from_secs(7 * 24 * 3600);
/// What a server says to try again is tried again for so long.
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks one node after the other.
#[derive(Clone)]
pub(crate) struct Rest {
    http: reqwest::Client,
    nodes: Arc<[SocketAddr]>,
}

impl Rest {
    pub(crate) fn new(nodes: Arc<[SocketAddr]>) -> Result<Self> {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(20)).build()?;
        Ok(Self { http, nodes })
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, client: u32, path: &str) -> Result<T> {
        Ok(self.ask(Method::GET, client, path, None).await?.json().await?)
    }

    pub(crate) async fn post(&self, client: u32, path: &str, body: &Value) -> Result<Value> {
        Ok(self.ask(Method::POST, client, path, Some(body)).await?.json().await?)
    }

    async fn ask(
        &self,
        method: Method,
        client: u32,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Response> {
        let token = token(client)?;
        let deadline = Instant::now() + PATIENCE;
        for node in self.nodes.iter().cycle().skip(client as usize) {
            let url = format!("http://{node}/chat{path}");
            let mut request = self.http.request(method.clone(), url).bearer_auth(&token);
            if let Some(body) = body {
                request = request.json(body);
            }
            let trouble = match request.send().await {
                Ok(response) if response.status().is_success() => return Ok(response),
                Ok(response) if response.status() != StatusCode::SERVICE_UNAVAILABLE => {
                    let (status, text) = (response.status(), response.text().await?);
                    return Err(format!("{method} {path}: {status}: {text}").into());
                }
                Ok(_) => "unavailable".to_owned(),
                // A node that is dead.
                Err(error) => error.to_string(),
            };
            if Instant::now() > deadline {
                return Err(format!("{method} {path}: {trouble}").into());
            }
            sleep(Duration::from_millis(100)).await;
        }
        Err("there is no node".into())
    }
}

/// A token of a client's user.
pub(crate) fn token(client: u32) -> Result<String> {
    let expires = std::time::SystemTime::now() + TOKEN_LIFE;
    let expires = expires.duration_since(std::time::UNIX_EPOCH)?.as_secs();
    let claims = json!({"sub": user(client), "exp": expires});
    Ok(encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET.as_bytes()))?)
}
