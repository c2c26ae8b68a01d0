//! Requests of browsers and monitors.

use super::support::*;

#[tokio::test]
async fn health_metrics_and_descriptions_are_served() {
    let studio = TestStudio::start().await;
    assert!(studio.get("/healthz", "").await.ends_with("ok\n"));
    let metrics = studio.get("/metrics", "").await;
    assert!(
        metrics.contains("application/openmetrics-text"),
        "{metrics}"
    );
    assert!(metrics.contains("policy_studio_robots 0"), "{metrics}");
    assert!(studio.get("/api/policy", "").await.contains("\"scripted\""));
    assert!(
        studio
            .get("/api/robots", "")
            .await
            .contains("\"robots\":[]")
    );
}

#[tokio::test]
async fn the_root_is_the_page_or_says_how_to_build_it() {
    let studio = TestStudio::start().await;
    let root = studio.get("/", "").await;
    let built = server::http::page_info().built;
    assert!(root.contains("text/html"), "{root}");
    assert_eq!(root.starts_with("HTTP/1.1 200"), built);
    assert_eq!(root.contains("cargo xtask build"), !built);
}

#[tokio::test]
async fn an_unknown_path_is_not_found_instead_of_the_page() {
    let studio = TestStudio::start().await;
    for path in [
        "/nothing.js",
        "/api/nothing",
        "/api/policy/openfast/tokenizer.json",
    ] {
        let answer = studio.get(path, "").await;
        assert!(answer.starts_with("HTTP/1.1 404"), "{path}: {answer}");
    }
}
