//! Decoding of the first tokens of a stream: the stream in view, the number of tokens shown, and the worker's answers.
//!
//! One request is in flight at a time and the newest wins ([`Latest`]). Until its answer arrives, the previous one
//! remains in view.

use std::sync::Arc;

use protocol::worker::{PartialDecode, PartialDecodeOutcome};

use crate::latest::Latest;

mod view;

pub use view::DecodeView;

/// Source of a token stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenSource {
    /// A decision of this page, by its number.
    Decision(u64),
    /// A decision that the policy is still generating, by its observation.
    Stream(u64),
    /// A chunk that the viewer edited, by the number of the edit; it never leaves the tab.
    WhatIf(u64),
}

impl TokenSource {
    /// Stable name for tests.
    pub fn name(self) -> &'static str {
        match self {
            Self::Decision(_) => "decision",
            Self::Stream(_) => "stream",
            Self::WhatIf(_) => "trial",
        }
    }
}

/// The stream in view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenInput {
    /// Its source.
    pub source: TokenSource,
    /// OpenFAST ids.
    pub tokens: Vec<u32>,
    /// True if the stream is complete.
    pub ended: bool,
    /// Rows of the chunk.
    pub rows: u32,
    /// Values per row.
    pub dims: u32,
}

/// A request for the worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartialRequest {
    /// Number of the request.
    pub id: u64,
    /// Tokens to decode.
    pub tokens: Vec<u32>,
    /// True if the stream is complete.
    pub ended: bool,
    /// Rows of the chunk.
    pub rows: u32,
    /// Values per row.
    pub dims: u32,
}

/// An answer, and its request.
#[derive(Debug, Clone, PartialEq)]
struct Answer {
    source: TokenSource,
    count: usize,
    ended: bool,
    found: Result<Arc<PartialDecode>, String>,
}

/// The request in flight.
#[derive(Debug, Clone, Copy)]
struct Pending {
    source: TokenSource,
    count: usize,
    ended: bool,
    is_part: bool,
}

/// State of the panel.
#[derive(Debug, Clone, Default)]
pub struct PartialDecoder {
    input: Option<TokenInput>,
    cut: Option<usize>,
    full: Option<Answer>,
    part: Option<Answer>,
    request: Latest<Pending>,
}

impl PartialDecoder {
    /// Selects the stream in view, or none. Another source shows all of its tokens.
    pub fn select(&mut self, input: Option<TokenInput>) {
        let source = input.as_ref().map(|input| input.source);
        if source != self.input.as_ref().map(|input| input.source) {
            self.cut = None;
            self.part = None;
        }
        if input.is_none() {
            self.full = None;
        }
        self.input = input;
    }

    /// Shows only the first `count` tokens; all of them follow the stream again.
    pub fn show_first(&mut self, count: usize) {
        let all = self.tokens();
        self.cut = Some(count).filter(|count| *count < all);
    }

    /// Number of tokens of the stream.
    pub fn tokens(&self) -> usize {
        self.input.as_ref().map_or(0, |s| s.tokens.len())
    }

    /// Number of tokens shown.
    pub fn count(&self) -> usize {
        let all = self.tokens();
        self.cut.map_or(all, |cut| cut.min(all))
    }

    /// Follows a restart of the worker, which has lost the request in flight.
    pub fn restart(&mut self) {
        self.request.reset();
        self.full = None;
        self.part = None;
    }

    /// Puts the next request in flight and returns it, if one is due.
    pub fn next_request(&mut self) -> Option<PartialRequest> {
        if !self.request.is_free() {
            return None;
        }
        let input = self.input.as_ref()?;
        let is_about = |answer: &Option<Answer>, count: usize, ended: bool| {
            answer.as_ref().is_some_and(|answer| {
                (answer.source, answer.count, answer.ended) == (input.source, count, ended)
            })
        };
        let all = input.tokens.len();
        let is_part = is_about(&self.full, all, input.ended);
        let (count, ended) = if is_part {
            let cut = self.cut.filter(|cut| !is_about(&self.part, *cut, false))?;
            (cut, false)
        } else {
            (all, input.ended)
        };
        let id = self.request.send(Pending {
            source: input.source,
            count,
            ended,
            is_part,
        })?;
        Some(PartialRequest {
            id,
            tokens: input.tokens.get(..count)?.to_vec(),
            ended,
            rows: input.rows,
            dims: input.dims,
        })
    }

    /// Stores an answer; one about another stream is dropped.
    pub fn answered(&mut self, id: u64, outcome: PartialDecodeOutcome) {
        let Some(request) = self.request.answered(id) else {
            return;
        };
        if self.input.as_ref().map(|s| s.source) != Some(request.source) {
            return;
        }
        let answer = Answer {
            source: request.source,
            count: request.count,
            ended: request.ended,
            found: match outcome {
                PartialDecodeOutcome::Decoded(unfolded) => Ok(Arc::new(unfolded)),
                PartialDecodeOutcome::Failed { reason } => Err(reason),
            },
        };
        if request.is_part {
            self.part = Some(answer);
        } else {
            self.full = Some(answer);
        }
    }

    /// Content to draw. While a new stream waits for its first answer, the previous one remains.
    pub fn view(&self) -> DecodeView {
        let Some(input) = &self.input else {
            return DecodeView::default();
        };
        let full = self.full.as_ref();
        if let Some(before) = full.filter(|answer| answer.source != input.source)
            && let Ok(found) = &before.found
        {
            return DecodeView {
                source: Some(before.source),
                tokens: found.tokens.clone(),
                ended: before.ended,
                count: found.tokens.len(),
                now: Some(found.clone()),
                full: Some(found.clone()),
                failure: None,
            };
        }
        let found = |answer: Option<&Answer>| answer.and_then(|p| p.found.clone().ok());
        let now = match self.cut {
            Some(_) => found(self.part.as_ref().or(full)),
            None => found(full),
        };
        DecodeView {
            source: Some(input.source),
            tokens: input.tokens.clone(),
            ended: input.ended,
            count: self.count(),
            now,
            full: found(full),
            failure: full.and_then(|answer| answer.found.as_ref().err().cloned()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn input(source: TokenSource, count: u32, ended: bool) -> TokenInput {
        TokenInput {
            source,
            tokens: (0..count).collect(),
            ended,
            rows: 4,
            dims: 2,
        }
    }

    /// A decode in which every token has two coefficients.
    fn outcome(ask: &PartialRequest) -> PartialDecodeOutcome {
        let known = 2 * ask.tokens.len();
        PartialDecodeOutcome::Decoded(PartialDecode {
            tokens: ask.tokens.clone(),
            rows: ask.rows,
            dims: ask.dims,
            token_lengths: vec![2; ask.tokens.len()],
            coefficients: vec![0; 8],
            known: known as u32,
            chunk_normalised: vec![0.0; 8],
            actions: vec![known as f32; 8],
            fault: None,
        })
    }

    fn settle(partial_decoder: &mut PartialDecoder) -> usize {
        let mut requests = 0;
        while let Some(ask) = partial_decoder.next_request() {
            requests += 1;
            partial_decoder.answered(ask.id, outcome(&ask));
        }
        requests
    }

    #[test]
    fn the_whole_is_requested_first_and_then_the_cut() {
        let mut partial_decoder = PartialDecoder::default();
        assert_eq!(partial_decoder.next_request(), None);
        partial_decoder.select(Some(input(TokenSource::Decision(1), 4, true)));
        partial_decoder.show_first(1);
        assert_eq!(settle(&mut partial_decoder), 2);
        let view = partial_decoder.view();
        assert_eq!(view.summary(), "1 of 4 tokens, 2 of 8 coefficients");
        assert_eq!(view.spans(), [0..2, 2..4, 4..6, 6..8]);
        assert_eq!(view.farthest().map(|f| f.0), Some(6.0));
        assert_eq!(settle(&mut partial_decoder), 0, "nothing is asked twice");
        partial_decoder.show_first(4);
        assert_eq!(
            partial_decoder.view().summary(),
            "4 of 4 tokens, 8 of 8 coefficients"
        );
    }

    #[test]
    fn one_question_is_out_at_a_time_and_the_newest_cut_wins() {
        let mut partial_decoder = PartialDecoder::default();
        partial_decoder.select(Some(input(TokenSource::Decision(1), 4, true)));
        settle(&mut partial_decoder);
        partial_decoder.show_first(1);
        let first = partial_decoder.next_request().unwrap();
        partial_decoder.show_first(2);
        partial_decoder.show_first(3);
        assert_eq!(partial_decoder.next_request(), None);
        partial_decoder.answered(first.id, outcome(&first));
        let second = partial_decoder.next_request().unwrap();
        assert_eq!(second.tokens.len(), 3);
    }

    #[test]
    fn a_stream_grows_and_its_decision_takes_its_place_without_a_gap() {
        let mut partial_decoder = PartialDecoder::default();
        for count in 1..=3 {
            partial_decoder.select(Some(input(TokenSource::Stream(9), count, false)));
            settle(&mut partial_decoder);
        }
        assert_eq!(
            partial_decoder.view().summary(),
            "3 tokens so far, 6 of 8 coefficients"
        );
        partial_decoder.select(Some(input(TokenSource::Decision(1), 4, true)));
        assert_eq!(partial_decoder.view().source, Some(TokenSource::Stream(9)));
        settle(&mut partial_decoder);
        assert_eq!(
            partial_decoder.view().source,
            Some(TokenSource::Decision(1))
        );
        assert_eq!(partial_decoder.view().known(), 8);
    }

    #[test]
    fn a_late_answer_about_another_stream_is_dropped() {
        let mut partial_decoder = PartialDecoder::default();
        partial_decoder.select(Some(input(TokenSource::Decision(1), 4, true)));
        let late = partial_decoder.next_request().unwrap();
        partial_decoder.select(Some(input(TokenSource::Decision(2), 3, true)));
        partial_decoder.answered(late.id, outcome(&late));
        assert_eq!(partial_decoder.view().now, None);
        assert_eq!(partial_decoder.next_request().unwrap().tokens.len(), 3);
        partial_decoder.select(None);
        assert_eq!(partial_decoder.view(), DecodeView::default());
    }

    #[test]
    fn a_failure_is_kept_and_a_restarted_worker_gets_the_request_again() {
        let mut partial_decoder = PartialDecoder::default();
        partial_decoder.select(Some(input(TokenSource::Decision(1), 2, true)));
        let ask = partial_decoder.next_request().unwrap();
        let reason = "not loaded".to_owned();
        partial_decoder.answered(ask.id, PartialDecodeOutcome::Failed { reason });
        assert_eq!(
            partial_decoder.view().failure.as_deref(),
            Some("not loaded")
        );
        assert_eq!(partial_decoder.next_request(), None);
        partial_decoder.restart();
        assert_eq!(settle(&mut partial_decoder), 1);
        assert_eq!(partial_decoder.view().failure, None);
    }
}
