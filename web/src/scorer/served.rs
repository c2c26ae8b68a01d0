//! The scorer that the studio serves.

use protocol::score::ScorerManifest;

use crate::format;

/// The scorer that the studio serves.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum ServedScorer {
    /// Not known yet.
    #[default]
    Unknown,
    /// The studio serves none; its text names the remedy.
    Nothing(String),
    /// The request failed; the reason.
    Failed(String),
    /// The description of the scorer.
    Scorer(ScorerManifest),
}

impl ServedScorer {
    /// Parses the studio's response to `GET /api/scorer`.
    #[must_use]
    pub fn read(status: u16, body: &str) -> Self {
        match status {
            200 => serde_json::from_str(body).map_or_else(
                |error| {
                    Self::Failed(format!(
                        "The studio describes its scorer in a way that this page cannot read ({error}). Reload the page."
                    ))
                },
                Self::Scorer,
            ),
            404 => Self::Nothing(format::capitalized(body.trim())),
            status => Self::Failed(format!(
                "The studio did not describe its scorer: {}",
                error_text(status, body)
            )),
        }
    }

    /// The scorer, if there is one.
    #[must_use]
    pub fn manifest(&self) -> Option<&ScorerManifest> {
        match self {
            Self::Scorer(manifest) => Some(manifest),
            Self::Unknown | Self::Nothing(_) | Self::Failed(_) => None,
        }
    }
}

/// Text of an error response: its body, or its status.
#[must_use]
pub fn error_text(status: u16, body: &str) -> String {
    let body = body.trim();
    if body.is_empty() || body.starts_with('<') {
        format!("it answered {status}.")
    } else {
        body.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_studios_response_is_parsed_or_explained() {
        assert_eq!(
            ServedScorer::read(404, "start it with --scorer DIR\n"),
            ServedScorer::Nothing("Start it with --scorer DIR".to_owned())
        );
        let failed = ServedScorer::read(503, "still starting");
        assert!(matches!(&failed, ServedScorer::Failed(why) if why.ends_with("still starting")));
        let failed = ServedScorer::read(502, "<html>");
        assert!(matches!(&failed, ServedScorer::Failed(why) if why.ends_with("answered 502.")));
        assert!(matches!(
            ServedScorer::read(200, "{}"),
            ServedScorer::Failed(_)
        ));
        let manifest = r#"{"name":"nano","id":"1","note":"","is_nano":true,"parameters":5000000,"dtype":"F32",
            "largest_tensor_values":1,"files":[{"name":"config.json","bytes":10}],"studio_device":null}"#;
        let served = ServedScorer::read(200, manifest);
        assert_eq!(served.manifest().map(ScorerManifest::bytes), Some(10));
    }
}
