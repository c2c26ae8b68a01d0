//! Paths and their handlers.

use super::{episodes, files, guard, scorer, state::Studio};
use crate::{
    peer_address::PeerAddress,
    peer_log::ConnectionLog,
    robots,
    sessions::Registry,
    socket::{self, Peer, Socket},
    viewers,
};
use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, Request, State},
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::get,
};
use policies::TokenizerFiles;
use protocol::viewer::PolicyDescription;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

pub(crate) fn router(studio: Studio) -> Router {
    Router::new()
        .route("/ws/robot", get(robot))
        .route("/ws/viewer", get(viewer))
        .route("/healthz", get(health))
        .route("/metrics", get(metrics))
        .route("/api/policy", get(policy))
        .route("/api/policy/openfast/{file}", get(tokenizer))
        .route("/api/policy/depth_decoder.safetensors", get(depth_decoder))
        .route("/api/robots", get(robot_list))
        .merge(scorer::routes())
        .merge(episodes::routes())
        .fallback(page)
        .layer(axum::middleware::from_fn(guard::security_headers))
        .with_state(studio)
}

async fn robot(State(studio): State<Studio>, request: Request) -> Response {
    websocket(studio, Peer::Robot, request, robots::bridge)
}

async fn viewer(State(studio): State<Studio>, request: Request) -> Response {
    websocket(studio, Peer::Viewer, request, viewers::bridge)
}

/// Upgrades a request to a WebSocket that `bridge` serves.
fn websocket<F>(
    studio: Studio,
    peer: Peer,
    request: Request,
    bridge: impl FnOnce(Socket, Arc<Registry>, ConnectionLog, CancellationToken) -> F + Send + 'static,
) -> Response
where
    F: Future<Output = ()> + Send + 'static,
{
    let Studio {
        registry,
        stop,
        connections,
        waiting,
        ..
    } = studio;
    let address = request.extensions().get::<PeerAddress>();
    let address = address.copied().unwrap_or(PeerAddress::UNKNOWN);
    let log = ConnectionLog::new(address, registry.logs.clone());
    let timeout = registry.limits.silence;
    socket::upgrade(
        peer,
        &waiting,
        log.clone(),
        timeout,
        request,
        move |socket| connections.track_future(bridge(socket, registry, log, stop)),
    )
}

/// `ok`, or status 503 with the parts that do not respond.
async fn health(State(studio): State<Studio>) -> Response {
    let problems = studio.registry.health.report();
    if problems.is_empty() {
        return "ok\n".into_response();
    }
    let body = serde_json::json!({ "status": "failing", "problems": problems });
    (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
}

async fn metrics(State(studio): State<Studio>) -> Response {
    match studio.registry.metrics.text() {
        Ok(text) => (
            [(
                header::CONTENT_TYPE,
                "application/openmetrics-text; version=1.0.0; charset=utf-8",
            )],
            text,
        )
            .into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn policy(State(studio): State<Studio>) -> Json<PolicyDescription> {
    Json(studio.registry.policy())
}

/// The response shares one buffer: a peer that reads slowly holds no copy.
async fn robot_list(State(studio): State<Studio>) -> Response {
    let list = studio.registry.robots_json().await;
    ([(header::CONTENT_TYPE, "application/json")], list).into_response()
}

async fn tokenizer(State(studio): State<Studio>, Path(file): Path<String>) -> Response {
    let files: Option<&Arc<TokenizerFiles>> = studio
        .registry
        .inference
        .info()
        .and_then(|info| info.tokenizer.as_ref());
    let Some(files) = files else {
        return not_found("the hosted policy has no OpenFAST tokenizer");
    };
    let content = match file.as_str() {
        "tokenizer.json" => shared(files, |files| &files.tokenizer_json),
        "processor_config.json" => shared(files, |files| &files.processor_config_json),
        _ => return not_found("an OpenFAST tokenizer is tokenizer.json and processor_config.json"),
    };
    (
        [
            (header::CONTENT_TYPE, "application/json"),
            (header::CACHE_CONTROL, "no-cache"),
        ],
        content,
    )
        .into_response()
}

async fn depth_decoder(State(studio): State<Studio>) -> Response {
    let depth = studio
        .registry
        .inference
        .info()
        .and_then(|info| info.depth.as_ref());
    match depth.and_then(|depth| depth.decoder.as_ref()) {
        Some(bytes) => (
            [
                (header::CONTENT_TYPE, "application/octet-stream"),
                (header::CACHE_CONTROL, "no-cache"),
            ],
            shared(bytes, |bytes| bytes),
        )
            .into_response(),
        None => not_found("the hosted policy has no depth decoder"),
    }
}

/// Bytes shared by all responses: a peer that reads slowly holds no copy.
fn shared<T: Send + Sync + 'static>(owner: &Arc<T>, bytes: fn(&T) -> &[u8]) -> Bytes {
    struct Shared<T>(Arc<T>, fn(&T) -> &[u8]);
    impl<T> AsRef<[u8]> for Shared<T> {
        fn as_ref(&self) -> &[u8] {
            (self.1)(&self.0)
        }
    }
    Bytes::from_owner(Shared(owner.clone(), bytes))
}

fn not_found(message: &'static str) -> Response {
    (StatusCode::NOT_FOUND, format!("{message}\n")).into_response()
}

async fn page(uri: Uri, headers: HeaderMap) -> Response {
    if uri.path().starts_with("/api/") || uri.path().starts_with("/ws/") {
        return not_found("no such path; see protocol/README.md");
    }
    files::serve(uri.path(), &headers)
}
