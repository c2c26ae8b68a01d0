//! URLs of the studio. The page may be served under a path of a proxy, so no URL is relative to the root of its host.

/// A path of the studio as an absolute URL. `base` is the document's base URL; `path` may begin with a slash. An absolute
/// URL is returned unchanged.
pub fn resolve(base: &str, path: &str) -> String {
    if path.contains("://") {
        return path.to_owned();
    }
    let page = base.split(['?', '#']).next().unwrap_or(base);
    let folder = page
        .rfind('/')
        .and_then(|at| page.get(..=at))
        .unwrap_or_default();
    format!("{folder}{}", path.trim_start_matches('/'))
}

/// A path of the studio as an absolute WebSocket URL.
pub fn websocket(base: &str, path: &str) -> String {
    let address = resolve(base, path);
    match address.strip_prefix("http") {
        Some(rest) => format!("ws{rest}"),
        None => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_stays_beneath_the_page() {
        for (base, path, address) in [
            ("http://a:1/", "/api/scorer", "http://a:1/api/scorer"),
            (
                "http://a/studio/",
                "/api/scorer",
                "http://a/studio/api/scorer",
            ),
            ("http://a/studio/", "healthz", "http://a/studio/healthz"),
            ("http://a/s/index.html?robot=x/y#z", "api", "http://a/s/api"),
            ("http://a/s/", "https://b/c.mp4", "https://b/c.mp4"),
        ] {
            assert_eq!(resolve(base, path), address);
        }
    }

    #[test]
    fn a_socket_is_as_secret_as_its_page() {
        assert_eq!(
            websocket("http://a/studio/?robot=b", "/ws/viewer"),
            "ws://a/studio/ws/viewer"
        );
        assert_eq!(websocket("https://a/", "ws/viewer"), "wss://a/ws/viewer");
    }
}
