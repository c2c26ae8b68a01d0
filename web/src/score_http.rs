//! A scoring job over HTTP: a request body of length-prefixed messages, and a response of JSON lines.

use protocol::score::ScoreEvent;
use protocol::worker::to_bytes;
use serde::Serialize;

/// A message of the request body: its length (`u32`, little endian) and its MessagePack.
///
/// # Errors
/// The reason that the message cannot be encoded.
pub fn length_prefixed<M: Serialize>(message: &M) -> Result<Vec<u8>, String> {
    let bytes = to_bytes(message).map_err(|error| error.to_string())?;
    let length = u32::try_from(bytes.len())
        .map_err(|_| "a frame is larger than the studio accepts".to_owned())?;
    let mut message = length.to_le_bytes().to_vec();
    message.extend_from_slice(&bytes);
    Ok(message)
}

/// Parser of the events in a response, independent of how its bytes are split.
#[derive(Debug, Clone, Default)]
pub struct EventLines {
    rest: Vec<u8>,
}

impl EventLines {
    /// Adds bytes and returns the events that are complete.
    ///
    /// # Errors
    /// A message for a line that is not an event.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<ScoreEvent>, String> {
        self.rest.extend_from_slice(bytes);
        let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') else {
            return Ok(Vec::new());
        };
        let after = self.rest.split_off(end + 1);
        let whole = std::mem::replace(&mut self.rest, after);
        whole
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.trim_ascii().is_empty())
            .map(|line| {
                serde_json::from_slice(line).map_err(|error| {
                    format!(
                        "The studio sent an event that this page cannot read: {error}. Reload the page."
                    )
                })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use protocol::score::{ScoreFrame, ScoreOutcome};
    use protocol::worker::from_bytes;

    #[test]
    fn a_message_says_its_length() {
        let frame = ScoreFrame {
            job: 3,
            index: 7,
            width: 2,
            height: 1,
            rgb: vec![1, 2, 3, 4, 5, 6],
        };
        let bytes = length_prefixed(&frame).unwrap();
        let length = u32::from_le_bytes(bytes[..4].try_into().unwrap());
        assert_eq!(length as usize, bytes.len() - 4);
        assert_eq!(from_bytes::<ScoreFrame>(&bytes[4..]).unwrap(), frame);
    }

    #[test]
    fn lines_are_put_together_wherever_they_were_cut() {
        let event = |job| ScoreEvent::Ended {
            job,
            outcome: ScoreOutcome::Stopped,
        };
        let text: String = (0..3)
            .map(|job| serde_json::to_string(&event(job)).unwrap() + "\n")
            .collect();
        for size in [1, 7, 1000] {
            let mut lines = EventLines::default();
            let mut events = Vec::new();
            for piece in text.as_bytes().chunks(size) {
                events.extend(lines.push(piece).unwrap());
            }
            assert_eq!(events, [event(0), event(1), event(2)]);
        }
        let mut lines = EventLines::default();
        assert_eq!(lines.push(b"\r\n\n").unwrap(), []);
        assert!(lines.push(b"{\"new\":1}\n").unwrap_err().contains("Reload"));
    }
}
