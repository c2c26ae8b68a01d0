//! Security headers of every response: the content security policy, and the ban on framing the page.

use axum::{
    extract::Request,
    http::{HeaderValue, header},
    middleware::Next,
    response::Response,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest as _, Sha256};
use std::{borrow::Cow, sync::LazyLock};

/// Hashes of the page's inline scripts, for the policy.
static HASHES: LazyLock<String> = LazyLock::new(|| {
    let page = super::files::index();
    hashes(&inline_scripts(&String::from_utf8_lossy(
        page.as_deref().unwrap_or_default(),
    )))
});

fn hashes(scripts: &[Cow<'_, str>]) -> String {
    scripts
        .iter()
        .map(|script| {
            let hash = STANDARD.encode(Sha256::digest(script.as_bytes()));
            format!(" 'sha256-{hash}'")
        })
        .collect()
}

/// Content security policy that allows everything that the page needs, and nothing from other origins. `host` is the
/// request's host.
fn content_security_policy(hashes: &str, host: &str) -> String {
    // Not every browser matches WebSockets to the page's own host with 'self'.
    let sockets = if host.is_empty() {
        String::new()
    } else {
        format!(" ws://{host} wss://{host}")
    };
    // Bars and marks are positioned by style attributes, which hashes cannot allow.
    format!(
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'{hashes}; worker-src 'self' blob:; \
         style-src 'self' 'unsafe-inline'; img-src 'self' blob: data:; media-src 'self' blob:; font-src 'self'; \
         connect-src 'self'{sockets}; manifest-src 'self'; base-uri 'self'; form-action 'self'; \
         frame-ancestors 'none'"
    )
}

/// The `Host` header of a request; empty if it contains anything but a host and a port.
fn host(request: &Request) -> String {
    let host = request.headers().get(header::HOST);
    host.and_then(|host| host.to_str().ok())
        .filter(|host| {
            host.len() <= 256
                && host
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b".:-[]".contains(&byte))
        })
        .unwrap_or_default()
        .to_owned()
}

/// Texts of inline scripts as a browser hashes them: with line ends normalized to `\n`.
fn inline_scripts(page: &str) -> Vec<Cow<'_, str>> {
    let mut scripts = Vec::new();
    let mut rest = page;
    while let Some((_, after)) = rest.split_once("<script") {
        let Some((attributes, after)) = after.split_once('>') else {
            break;
        };
        let Some((text, after)) = after.split_once("</script>") else {
            break;
        };
        if !attributes.contains("src=") {
            scripts.push(if text.contains('\r') {
                text.replace("\r\n", "\n").replace('\r', "\n").into()
            } else {
                text.into()
            });
        }
        rest = after;
    }
    scripts
}

/// Middleware that adds the headers to every response.
pub(super) async fn security_headers(request: Request, next: Next) -> Response {
    let policy = content_security_policy(&HASHES, &host(&request));
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_inline_scripts_are_allowed_by_hash() {
        let page = "<script src=\"a.js\"></script><script>\r\nlet a;</script>\n<script type=\"module\">b</script>";
        let scripts = inline_scripts(page);
        assert_eq!(scripts, ["\nlet a;", "b"]);
        let policy = content_security_policy(&hashes(&scripts), "studio.local:7000");
        // printf b | openssl dgst -sha256 -binary | base64
        assert!(
            policy.contains("'sha256-PiPoFgA5WUoziU9lZOGxNIu9egCI1CxKy3PurtWcAJ0='"),
            "{policy}"
        );
        assert_eq!(policy.matches("'sha256-").count(), 2);
        assert!(
            policy.contains("connect-src 'self' ws://studio.local:7000 wss://studio.local:7000;")
        );
    }
}
