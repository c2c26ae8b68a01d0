//! The scorer's routes: what it is, its files, and scoring on the studio.

use super::state::Studio;
use crate::byte_ranges;
use crate::scorer_service::{
    queue::{Closed, Events},
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
        Some(file) => byte_ranges::respond(&method, &headers, &file, &studio.files_log).await,
        None => words(
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
                Refused::Closed(closed) => told(closed),
                Refused::Body(refusal) => match refusal.status {
                    StatusCode::SERVICE_UNAVAILABLE => later(&refusal.words),
                    status => words(status, &refusal.words),
                },
            }
        }
    }
}

enum Refused {
    Closed(Closed),
    Body(Refusal),
}

impl Refused {
    /// What is still to come would not come any faster.
    fn was_slow(&self) -> bool {
        matches!(self, Self::Body(refusal) if refusal.status == StatusCode::REQUEST_TIMEOUT)
    }
}

/// Reads a video, and gives it a place in the line when it is whole.
async fn accept(studio: &Studio, body: &mut BodyDataStream) -> Result<Events, Refused> {
    let window = studio.registry.limits.silence;
    let upload = studio.desk.upload(window).map_err(Refused::Closed)?;
    let (clip, held) = upload::read(body, upload).await.map_err(Refused::Body)?;
    let place = studio.desk.place().map_err(Refused::Closed)?;
    Ok(studio.desk.join(place, clip, held))
}

fn told(closed: Closed) -> Response {
    match closed {
        Closed::NoScorer(reason) => words(StatusCode::NOT_FOUND, &reason),
        Closed::FilesOnly => words(
            StatusCode::CONFLICT,
            "this studio serves the scorer's files and does not score; score in the browser, or start the studio with \
             --score-here",
        ),
        Closed::Full { jobs } => later(&format!(
            "{jobs} videos are being scored here or wait, and no more can; try again later"
        )),
        Closed::Uploading => {
            later("as many videos as can be received at once are being sent; try again later")
        }
    }
}

/// There will be room again.
fn later(said: &str) -> Response {
    let mut full = words(StatusCode::SERVICE_UNAVAILABLE, said);
    let retry = header::HeaderValue::from_static(RETRY_SECS);
    full.headers_mut().insert(header::RETRY_AFTER, retry);
    full
}

fn words(status: StatusCode, words: &str) -> Response {
    (status, format!("{words}\n")).into_response()
}
