//! Routes of recorded episodes.

use super::state::Studio;
use crate::byte_ranges;
use axum::{
    Router,
    extract::{Path, State},
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};

pub(super) fn routes() -> Router<Studio> {
    Router::new()
        .route("/api/episodes", get(list))
        .route("/api/episodes/video/{set}/{index}", get(video))
}

async fn list(State(studio): State<Studio>) -> Response {
    (
        [
            (header::CACHE_CONTROL, "no-cache"),
            (header::CONTENT_TYPE, "application/json"),
        ],
        studio.recordings.json(),
    )
        .into_response()
}

async fn video(
    State(studio): State<Studio>,
    Path((set, index)): Path<(String, String)>,
    method: Method,
    headers: HeaderMap,
) -> Response {
    let numbers = set.parse().ok().zip(index.parse().ok());
    match numbers.and_then(|(set, index)| studio.recordings.video(set, index)) {
        Some(video) => byte_ranges::respond(&method, &headers, video, &studio.files_log).await,
        None => (
            StatusCode::NOT_FOUND,
            "there is no such video; /api/episodes lists the existing ones\n",
        )
            .into_response(),
    }
}
