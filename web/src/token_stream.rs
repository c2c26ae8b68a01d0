//! The tokens of the decision that the policy is generating.

use protocol::viewer::TokensSoFar;

/// Time after which a stream that stopped growing is dropped. Not every stream ends in a decision.
const EXPIRY_MILLIS: f64 = 1_500.0;

/// The newest tokens, until their decision arrives.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TokenStream {
    newest: Option<TokensSoFar>,
    updated_at_millis: f64,
    /// Observation of the newest decision; tokens for it or an older one are late.
    done: Option<u64>,
}

impl TokenStream {
    /// Adds tokens.
    pub fn push(&mut self, tokens: TokensSoFar, now_millis: f64) {
        if self
            .done
            .is_some_and(|done| tokens.observation_sequence <= done)
        {
            return;
        }
        self.newest = Some(tokens);
        self.updated_at_millis = now_millis;
    }

    /// Ends the stream of an observation, whose decision has arrived.
    pub fn decided(&mut self, observation_sequence: u64) {
        self.done = Some(observation_sequence);
        if self
            .newest
            .as_ref()
            .is_some_and(|newest| newest.observation_sequence <= observation_sequence)
        {
            self.newest = None;
        }
    }

    /// Drops a stream that stopped growing; returns whether there was one.
    pub fn expire(&mut self, now_millis: f64) -> bool {
        let is_late = now_millis - self.updated_at_millis > EXPIRY_MILLIS;
        is_late && self.newest.take().is_some()
    }

    /// The tokens generated so far.
    pub fn newest(&self) -> Option<&TokensSoFar> {
        self.newest.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(observation_sequence: u64, count: u32) -> TokensSoFar {
        TokensSoFar {
            robot_id: "a".into(),
            observation_sequence,
            tokens: (0..count).collect(),
            rows: 4,
            dims: 2,
        }
    }

    fn written(stream: &TokenStream) -> Option<usize> {
        stream.newest().map(|newest| newest.tokens.len())
    }

    #[test]
    fn a_stream_ends_with_its_decision_and_not_with_an_older_one() {
        let mut stream = TokenStream::default();
        stream.push(tokens(7, 2), 0.0);
        stream.push(tokens(7, 3), 30.0);
        stream.decided(6);
        assert_eq!(written(&stream), Some(3));
        stream.decided(7);
        assert_eq!(written(&stream), None);
        stream.push(tokens(7, 4), 60.0);
        assert_eq!(written(&stream), None, "it came late");
        stream.push(tokens(8, 1), 90.0);
        assert_eq!(written(&stream), Some(1));
    }

    #[test]
    fn a_stream_that_falls_silent_is_given_up() {
        let mut stream = TokenStream::default();
        stream.push(tokens(7, 2), 100.0);
        assert!(!stream.expire(1_000.0));
        assert!(stream.expire(2_000.0));
        assert!(!stream.expire(3_000.0));
        assert_eq!(written(&stream), None);
    }
}
