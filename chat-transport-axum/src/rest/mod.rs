//! REST: every command that is request and response, under the same rules as on the WebSocket.

mod conversations;
mod extract;
mod members;
mod messages;
mod people;

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use axum::{
    Json, Router,
    middleware::from_fn_with_state,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{StatusCode, header};
use parlor_core::{ErrorCode, command::Command};
use utoipa::{
    IntoResponses, OpenApi,
    openapi::{ContentBuilder, Ref, RefOr, ResponseBuilder, response},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    error::{Problem, Refusal},
    identity::Authenticated,
    origin,
    reply::Answer,
    ws::{self, Shared},
};

/// What most routes answer.
type Answered = Result<Json<Answer>, Problem>;

impl Authenticated {
    /// Carries out a command and answers with its reply.
    async fn ask(&self, command: Command) -> Answered {
        Ok(Json(Answer(self.caller.dispatch(command).await?)))
    }
}

/// The whole router: `/ws`, REST, the OpenAPI document, and problems for everything else.
pub(crate) fn router<S: Clone + Send + Sync + 'static>(shared: Arc<Shared>) -> Router<S> {
    Router::from(routes())
        .fallback(async || Problem::not_found())
        .method_not_allowed_fallback(async || {
            let refusal = Refusal::new(ErrorCode::Invalid, "this path does not know this method");
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, refusal)
        })
        .layer(from_fn_with_state(shared.clone(), origin::guard))
        .with_state(shared)
}

/// The OpenAPI document of the REST routes, made from the code that serves them.
pub fn openapi() -> utoipa::openapi::OpenApi {
    routes().into_openapi()
}

fn routes() -> OpenApiRouter<Arc<Shared>> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(ws::upgrade))
        .routes(routes!(document))
        .merge(conversations::routes())
        .merge(members::routes())
        .merge(messages::routes())
        .merge(people::routes())
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "parlor",
        description = "Chat over REST. Live events come over the WebSocket.",
        license(name = "MIT OR Apache-2.0")
    ),
    // Relative to this document, so that it is true wherever the router is nested.
    servers((url = ".")),
    components(schemas(Problem, parlor_core::command::DeleteFor)),
    modifiers(&Bearer),
    security(("bearer" = []), ())
)]
struct Document;

struct Bearer;

impl utoipa::Modify for Bearer {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
        let components = openapi.components.get_or_insert_default();
        let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        components.add_security_scheme("bearer", bearer);
    }
}

/// This document.
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "document",
    responses((status = 200, body = Object), Problems),
    security(())
)]
async fn document() -> Response {
    static JSON: LazyLock<Bytes> =
        LazyLock::new(|| serde_json::to_vec(&openapi()).unwrap_or_default().into());
    ([(header::CONTENT_TYPE, "application/json")], JSON.clone()).into_response()
}

/// The problems that any operation may answer with.
pub(crate) struct Problems;

impl IntoResponses for Problems {
    fn responses() -> BTreeMap<String, RefOr<response::Response>> {
        let problems = [
            (400, "The JSON or a parameter cannot be read"),
            (401, "Who calls is not known"),
            (403, "Visible, but not allowed; or a foreign origin"),
            (404, "Absent, or not for the caller to see"),
            (409, "Contradicts what is stored"),
            (413, "The body is too big"),
            (422, "A field breaks a rule, or a rule of the host refuses it"),
            (429, "Too many requests; Retry-After says when to come back"),
            (500, "A fault of the server"),
            (503, "Unavailable; the same request may be sent again"),
        ];
        let response = |description: &str| {
            let content =
                ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
            ResponseBuilder::new()
                .description(description)
                .content("application/problem+json", content)
                .build()
                .into()
        };
        problems.iter().map(|(status, what)| (status.to_string(), response(what))).collect()
    }
}
