//! A login for development: by name, without a password, and only from this very machine.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::{
    Json, Router,
    extract::{ConnectInfo, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use parlor::{
    Chat, Error,
    auth::DevTokens,
    model::{ClientId, ConversationId, NewGroup, UserId},
    traits::{Authenticator, Credentials},
};
use serde::Deserialize;
use serde_json::json;

use crate::failure::Failure;

/// What the routes need.
#[derive(Debug, Clone)]
struct Host {
    chat: Chat,
    tokens: Arc<DevTokens>,
    lounge: ConversationId,
}

/// Serves `/login` and `/people`, and makes the group that everybody is in.
pub(crate) async fn router(chat: Chat, tokens: Arc<DevTokens>) -> Result<Router, Failure> {
    let lounge = lounge(&chat).await.map_err(|error| {
        Failure::Start(format!("the group for everybody cannot be made: {error}"))
    })?;
    let host = Host { chat, tokens, lounge };
    Ok(Router::new().route("/login", post(login)).route("/people", get(people)).with_state(host))
}

/// The key makes it the same group at every start.
async fn lounge(chat: &Chat) -> Result<ConversationId, Error> {
    let mut lounge = NewGroup::new("Lounge", []);
    lounge.client_id = Some(ClientId::new("lounge")?);
    Ok(chat.system().create_group(lounge).await?.conversation.id)
}

#[derive(Deserialize)]
struct Login {
    name: String,
}

async fn login(
    State(host): State<Host>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Json(Login { name }): Json<Login>,
) -> Result<Response, Refused> {
    if !came_directly(&headers) {
        let reason = "the development login is for browsers on the server's own machine";
        return Err(Refused(Error::Forbidden(reason.into())));
    }
    let name = name.split_whitespace().collect::<Vec<_>>().join(" ");
    let user = UserId::new(name.as_str()).map_err(Error::from)?;
    let token = host.tokens.issue(&user, Some(&name), peer.ip())?;
    host.chat.system().add_members(host.lounge, vec![user.clone()]).await?;
    Ok(Json(json!({ "token": token, "user_id": user, "name": name })).into_response())
}

/// Everybody who has ever logged in.
async fn people(State(host): State<Host>, headers: HeaderMap) -> Result<Response, Refused> {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    host.tokens.authenticate(&Credentials::token(bearer.unwrap_or_default())).await?;
    let members = host.chat.system().members(host.lounge).await?;
    let people: Vec<_> = members
        .iter()
        .map(|member| json!({ "user_id": member.user_id, "name": member.user_id }))
        .collect();
    Ok(Json(people).into_response())
}

/// Whether a request was made for this machine by its own name. Through a proxy everybody's comes from this machine,
/// and a page of strangers may have a name that leads here.
fn came_directly(headers: &HeaderMap) -> bool {
    let forwarded = ["forwarded", "x-forwarded-for", "x-real-ip", "via"];
    if forwarded.iter().any(|name| headers.contains_key(*name)) {
        return false;
    }
    let Some(host) = headers.get(header::HOST).and_then(|host| host.to_str().ok()) else {
        return false;
    };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

/// An error of the engine as an answer.
struct Refused(Error);

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = match &self.0 {
            Error::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Error::Unauthenticated => StatusCode::UNAUTHORIZED,
            Error::Forbidden(_) => StatusCode::FORBIDDEN,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        (status, Json(json!({ "code": self.0.code(), "detail": self.0.to_string() })))
            .into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_browser_on_this_machine_comes_directly() {
        let direct = |host: &str, more: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, host.parse().unwrap());
            if let Some(name) = more {
                headers.insert(name, "127.0.0.1".parse().unwrap());
            }
            came_directly(&headers)
        };
        for host in ["localhost:3000", "LOCALHOST", "127.0.0.1:3000", "[::1]:3000", "[::1]"] {
            assert!(direct(host, None), "{host}");
        }
        for host in ["chat.example.com", "localhost.example.com:3000", "192.168.0.7:3000", ""] {
            assert!(!direct(host, None), "{host}");
        }
        assert!(!direct("localhost:3000", Some("x-forwarded-for")));
        assert!(!direct("localhost:3000", Some("forwarded")));
        assert!(!came_directly(&HeaderMap::new()));
    }
}
