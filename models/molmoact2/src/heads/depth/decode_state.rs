//! State of one depth map during decoding.

use std::collections::VecDeque;

use burn_tensor::Tensor;

use super::DepthIds;
use super::map::DepthMap;
use super::regeneration::Span;
use crate::error::ActError;

/// A depth map that is being decoded.
#[derive(Debug)]
pub(crate) struct DepthDecodeState<'a> {
    /// `None` for unrestricted decoding.
    spans: Option<&'a [Span]>,
    /// Remaining steps before the end.
    pub(crate) steps: VecDeque<Step<'a>>,
    /// Maximum number of tokens of the end, `<depth_end>` included.
    limit: usize,
    /// Tokens of the end so far.
    tail: Vec<u32>,
    pub(crate) forwards: usize,
    /// True to return the logits.
    pub(crate) dumps: bool,
    /// The final hidden state after everything, `[1, hidden]`, if requested.
    pub(crate) hidden: Option<Tensor<2>>,
    pub(crate) failed: Option<ActError>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Step<'a> {
    /// Generates a code.
    New,
    /// Reads codes that are kept.
    Kept(&'a [u32]),
}

/// Input of one map in one pass.
pub(crate) enum NextInput {
    /// A generated code, by its index among the codes of the pass.
    Picked(usize),
    Tokens(Vec<u32>),
    /// The last tokens.
    Last(Vec<u32>),
}

impl NextInput {
    /// Number of tokens.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Picked(_) => 1,
            Self::Tokens(tokens) | Self::Last(tokens) => tokens.len(),
        }
    }
}

impl<'a> DepthDecodeState<'a> {
    /// State of a map whose known beginning was read with the prompt.
    pub(crate) fn new(spans: Option<&'a [Span]>, limit: usize, dumps: bool) -> Self {
        let mut steps = VecDeque::new();
        for (index, span) in spans.unwrap_or_default().iter().enumerate() {
            match span {
                Span::New(count) => steps.extend(std::iter::repeat_n(Step::New, *count)),
                // A first run of kept cells is a part of that beginning.
                Span::Kept(_) if index == 0 => {}
                Span::Kept(codes) => steps.push_back(Step::Kept(codes)),
            }
        }
        Self {
            spans,
            steps,
            limit,
            tail: Vec::new(),
            forwards: 0,
            dumps,
            hidden: None,
            failed: None,
        }
    }

    /// The input after the last cell, where `token` was generated; `end` is fed together with the tokens that
    /// follow it.
    pub(crate) fn close(
        &mut self,
        token: Option<u32>,
        end: u32,
        then: &[u32],
    ) -> Result<NextInput, ActError> {
        let limit = self.limit;
        let token = token.ok_or(ActError::NoDepthEnd { limit })?;
        self.tail.push(token);
        if token == end {
            return Ok(NextInput::Last([&[end], then].concat()));
        }
        if self.tail.len() >= limit {
            return Err(ActError::NoDepthEnd { limit });
        }
        Ok(NextInput::Tokens(vec![token]))
    }

    /// The map, from its generated codes.
    pub(crate) fn finish(
        self,
        ids: &DepthIds,
        picked: Vec<u32>,
        scores: Vec<Vec<f32>>,
    ) -> Result<DepthMap, ActError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let Some(spans) = self.spans else {
            let codes = ids.span(&self.tail);
            if codes.is_empty() {
                return Err(ActError::NoDepthCodes {
                    generated: self.tail.len(),
                });
            }
            return Ok(DepthMap {
                regenerated: vec![true; codes.len()],
                codes,
                tokens: self.tail,
                forwards: self.forwards,
                logits: None,
            });
        };
        let mut picked = picked.into_iter();
        let (mut codes, mut regenerated) = (Vec::new(), Vec::new());
        for span in spans {
            match span {
                Span::New(count) => {
                    codes.extend(picked.by_ref().take(*count));
                    regenerated.extend(std::iter::repeat_n(true, *count));
                }
                Span::Kept(kept) => {
                    codes.extend(kept);
                    regenerated.extend(std::iter::repeat_n(false, kept.len()));
                }
            }
        }
        if codes.iter().any(|&code| code as usize >= ids.codes) {
            return Err(ActError::NotFinite {
                what: "every score of a depth code",
            });
        }
        let mut tokens = vec![ids.start];
        tokens.extend(codes.iter().map(|&code| ids.token(code)));
        tokens.extend(self.tail);
        Ok(DepthMap {
            tokens,
            codes,
            regenerated,
            forwards: self.forwards,
            logits: self.dumps.then_some(scores),
        })
    }
}
