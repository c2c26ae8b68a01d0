//! Content of the panel at one moment.

use std::ops::Range;
use std::sync::Arc;

use protocol::worker::PartialDecode;

use super::TokenSource;

/// Content of the panel at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DecodeView {
    /// Source of the stream.
    pub source: Option<TokenSource>,
    /// Its tokens.
    pub tokens: Vec<u32>,
    /// True if it is complete.
    pub ended: bool,
    /// Number of tokens that are shown, from the first.
    pub count: usize,
    /// Decode of these tokens; absent until the worker has answered.
    pub now: Option<Arc<PartialDecode>>,
    /// Decode of all tokens.
    pub full: Option<Arc<PartialDecode>>,
    /// The reason that nothing could be decoded.
    pub failure: Option<String>,
}

impl DecodeView {
    /// Number of coefficients of the whole chunk.
    pub fn coefficients(&self) -> usize {
        self.full
            .as_ref()
            .map_or(0, |full| full.rows as usize * full.dims as usize)
    }

    /// Number of coefficients in the shown tokens.
    pub fn known(&self) -> usize {
        self.now.as_ref().map_or(0, |now| now.known as usize)
    }

    /// A summary: `17 of 34 tokens, 61 of 96 coefficients`.
    pub fn summary(&self) -> String {
        let tokens = if self.ended {
            format!("{} of {} tokens", self.count, self.tokens.len())
        } else {
            format!("{} tokens so far", self.tokens.len())
        };
        match self.coefficients() {
            0 => tokens,
            all => format!("{tokens}, {} of {all} coefficients", self.known()),
        }
    }

    /// The coefficients of each valid token, as ranges into `[rows, dims]`.
    pub fn spans(&self) -> Vec<Range<usize>> {
        let lengths = self.full.as_ref().map(|full| &full.token_lengths);
        let mut begun = 0;
        lengths
            .into_iter()
            .flatten()
            .map(|&length| {
                let start = begun;
                begun += length as usize;
                start..begun
            })
            .collect()
    }

    /// The largest difference from the whole chunk in robot units, and its dimension.
    pub fn farthest(&self) -> Option<(f32, usize)> {
        let (now, full) = (self.now.as_ref()?, self.full.as_ref()?);
        let dims = full.dims.max(1) as usize;
        now.actions
            .iter()
            .zip(&full.actions)
            .enumerate()
            .map(|(index, (now, full))| ((now - full).abs(), index % dims))
            .max_by(|a, b| a.0.total_cmp(&b.0))
    }
}
