//! Routes of the scorer: its manifest, its files, and scoring on the studio.

use super::state::Studio;
use crate::byte_ranges;
use crate::scorer_service::{
    queue::{Events, Unavailable},
    upload::{self, Refusal},
};
use axum::{
    Json, Router,
    body::{Body, BodyDataStream},
    extract::{Path, State},
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};

/// `Retry-After` of a refused job, in seconds.
const RETRY_SECS: &str = "5";

pub(super) fn routes() -> Router<Studio> {
    Router::new()
        .route("/api/scorer", get(manifest))
        .route("/api/scorer/files/{name}", get(file))
        .route("/api/scorer/score", post(score))
}

async fn manifest(State(studio): State<Studio>) -> Response {
    match studio.scoring.scorer() {
        Ok(scorer) => (
            [(header::CACHE_CONTROL, "no-cache")],
            Json(scorer.manifest()),
        )
            .into_response(),
        Err(reason) => text(StatusCode::NOT_FOUND, reason),
    }
}

async fn file(
    State(studio): State<Studio>,
    Path(name): Path<String>,
    method: Method,
    headers: HeaderMap,
) -> Response {
    let scorer = match studio.scoring.scorer() {
        Ok(scorer) => scorer,
        Err(reason) => return text(StatusCode::NOT_FOUND, reason),
    };
    match scorer.files().find(&name) {
        Some(file) => byte_ranges::respond(&method, &headers, &file, &studio.files_log).await,
        None => text(
            StatusCode::NOT_FOUND,
            "the scorer has no such file; /api/scorer lists those it has",
        ),
    }
}

async fn score(State(studio): State<Studio>, body: Body) -> Response {
    let mut body = body.into_data_stream();
    match accept(&studio, &mut body).await {
        Ok(events) => (
            [
                (header::CONTENT_TYPE, "application/x-ndjson"),
                (header::CACHE_CONTROL, "no-store"),
            ],
            Body::from_stream(events),
        )
            .into_response(),
        Err(refused) => {
            if !refused.was_slow() {
                upload::drain(&mut body).await;
            }
            match refused {
                Refused::Unavailable(reason) => unavailable(reason),
                Refused::Body(refusal) => match refusal.status {
                    StatusCode::SERVICE_UNAVAILABLE => busy(&refusal.message),
                    status => text(status, &refusal.message),
                },
            }
        }
    }
}

enum Refused {
    Unavailable(Unavailable),
    Body(Refusal),
}

impl Refused {
    /// True if the body arrived too slowly; draining the rest would take as long.
    fn was_slow(&self) -> bool {
        matches!(self, Self::Body(refusal) if refusal.status == StatusCode::REQUEST_TIMEOUT)
    }
}

/// Reads a video and puts it into the queue once it is complete.
async fn accept(studio: &Studio, body: &mut BodyDataStream) -> Result<Events, Refused> {
    let window = studio.registry.limits.silence;
    let upload = studio
        .scoring
        .upload(window)
        .map_err(Refused::Unavailable)?;
    let (clip, memory) = upload::read(body, upload).await.map_err(Refused::Body)?;
    let slot = studio.scoring.slot().map_err(Refused::Unavailable)?;
    Ok(studio.scoring.push(slot, clip, memory))
}

fn unavailable(reason: Unavailable) -> Response {
    match reason {
        Unavailable::NoScorer(reason) => text(StatusCode::NOT_FOUND, &reason),
        Unavailable::FilesOnly => text(
            StatusCode::CONFLICT,
            "this studio serves the scorer's files and does not score; score in the browser, or start the studio with \
             --score-here",
        ),
        Unavailable::Full { jobs } => busy(&format!(
            "{jobs} videos are being scored or waiting, which is the limit; try again later"
        )),
        Unavailable::TooManyUploads => {
            busy("the studio is receiving the maximum number of videos; try again later")
        }
    }
}

/// Response with status 503 and `Retry-After`.
fn busy(message: &str) -> Response {
    let mut response = text(StatusCode::SERVICE_UNAVAILABLE, message);
    let retry = header::HeaderValue::from_static(RETRY_SECS);
    response.headers_mut().insert(header::RETRY_AFTER, retry);
    response
}

fn text(status: StatusCode, message: &str) -> Response {
    (status, format!("{message}\n")).into_response()
}
