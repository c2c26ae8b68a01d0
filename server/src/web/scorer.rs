//! The scorer's routes: what it is, its files, and scoring on the studio.

use super::{ranges, routes::Studio};
use crate::scorer::{
    desk::Closed,
    intake::{self, Refusal},
};
use axum::{
    Json, Router,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};

/// Seconds after which someone who found no place may try again.
const RETRY_SECS: &str = "5";

pub(super) fn routes() -> Router<Studio> {
    Router::new()
        .route("/api/scorer", get(manifest))
        .route("/api/scorer/files/{name}", get(file))
        .route("/api/scorer/score", post(score))
}

async fn manifest(State(studio): State<Studio>) -> Response {
    match studio.desk.scorer() {
        Ok(scorer) => (
            [(header::CACHE_CONTROL, "no-cache")],
            Json(scorer.manifest()),
        )
            .into_response(),
        Err(reason) => words(StatusCode::NOT_FOUND, reason),
    }
}

async fn file(
    State(studio): State<Studio>,
    Path(name): Path<String>,
    method: Method,
    headers: HeaderMap,
) -> Response {
    let scorer = match studio.desk.scorer() {
        Ok(scorer) => scorer,
        Err(reason) => return words(StatusCode::NOT_FOUND, reason),
    };
    match scorer.files().find(&name) {
        Some(file) => ranges::respond(&method, &headers, &file).await,
        None => words(
            StatusCode::NOT_FOUND,
            "the scorer has no such file; /api/scorer lists those it has",
        ),
    }
}

async fn score(State(studio): State<Studio>, body: Body) -> Response {
    let silence = studio.registry.limits.silence;
    let mut body = body.into_data_stream();
    let refused = match studio.desk.place() {
        Ok(place) => match intake::read(&mut body, silence).await {
            Ok(clip) => {
                return (
                    [
                        (header::CONTENT_TYPE, "application/x-ndjson"),
                        (header::CACHE_CONTROL, "no-store"),
                        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
                    ],
                    Body::from_stream(studio.desk.join(place, clip)),
                )
                    .into_response();
            }
            Err(Refusal {
                status,
                words: said,
            }) => words(status, &said),
        },
        Err(Closed::NoScorer(reason)) => words(StatusCode::NOT_FOUND, &reason),
        Err(Closed::FilesOnly) => words(
            StatusCode::CONFLICT,
            "this studio serves the scorer's files and does not score; score in the browser, or start the studio with \
             --score-here",
        ),
        Err(Closed::Full { jobs }) => {
            let mut full = words(
                StatusCode::SERVICE_UNAVAILABLE,
                &format!(
                    "{jobs} videos are being scored here or wait, and no more can; try again later"
                ),
            );
            let retry = header::HeaderValue::from_static(RETRY_SECS);
            full.headers_mut().insert(header::RETRY_AFTER, retry);
            full
        }
    };
    intake::drain(&mut body, silence).await;
    refused
}

fn words(status: StatusCode, words: &str) -> Response {
    (status, format!("{words}\n")).into_response()
}
