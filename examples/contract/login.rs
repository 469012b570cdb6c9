//! A development login: a token for anybody, without a password, for this machine only.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::{
    Json, Router,
    extract::{Query, State},
    http::StatusCode,
    routing::post,
};
use jsonwebtoken::{EncodingKey, Header};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::settings::Settings;

#[derive(Clone)]
struct Login {
    key: EncodingKey,
    life: Duration,
}

/// Who wants a token, and what becomes of it.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Claims {
    sub: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_type: Option<String>,
    #[serde(default)]
    exp: u64,
}

/// `POST /dev/login?sub=ann&name=Ann&userType=brand` answers `{token}`.
pub(crate) fn router(settings: &Settings) -> Router {
    let key = EncodingKey::from_secret(settings.secret.as_bytes());
    let login = Login { key, life: settings.token_life };
    Router::new().route("/dev/login", post(issue)).with_state(login)
}

async fn issue(
    State(login): State<Login>,
    Query(mut claims): Query<Claims>,
) -> Result<Json<Value>, StatusCode> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    claims.exp = (now + login.life).as_secs();
    let token = jsonwebtoken::encode(&Header::default(), &claims, &login.key)
        .map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok(Json(json!({ "token": token })))
}
