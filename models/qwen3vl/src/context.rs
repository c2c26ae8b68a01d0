//! What the model has read, and what can be asked about it.

use layers::{KvCache, Wanted};

use crate::vision_tower::Seen;

/// What the model has read so far: keys and values of every layer, and where the next token stands.
///
/// A clone shares the tensors and costs next to nothing; reading on in one of the two leaves the other as it is.
#[derive(Debug, Clone, Default)]
pub struct Context {
    pub(crate) cache: KvCache,
    /// Where the next token of text stands.
    pub(crate) next: u32,
}

impl Context {
    /// Tokens read.
    pub fn tokens(&self) -> usize {
        self.cache.len()
    }

    /// This place in the sequence, to which a [`Tail`] can be attached later, when more has been read.
    pub fn mark(&self) -> Mark {
        Mark {
            tokens: self.tokens(),
            next: self.next,
        }
    }

    /// Bytes that its keys and values take.
    pub fn bytes(&self) -> u64 {
        self.cache
            .layers()
            .iter()
            .flat_map(|(key, value)| [key, value])
            .map(|tensor| {
                let values: usize = tensor.dims().iter().product();
                (values * tensor.dtype().size()) as u64
            })
            .sum()
    }
}

/// A place in a sequence.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mark {
    /// Tokens before it.
    pub tokens: usize,
    /// Where a token of text stands that follows here. Not `tokens`: a picture takes fewer places than tokens.
    pub next: u32,
}

/// Something to read.
#[derive(Debug, Clone, Copy)]
pub enum Piece<'a> {
    /// Tokens of text.
    Text(&'a [u32]),
    /// One temporal block.
    Picture {
        /// What the vision tower made of it and perhaps others.
        seen: &'a Seen,
        /// Which of them, from 0.
        block: usize,
    },
}

/// A text after a place in a context, and what is asked about it. The text does not become a part of the context.
#[derive(Debug, Clone, Copy)]
pub struct Tail<'a> {
    /// Where it follows. It sees what lies before this place, and itself.
    pub from: Mark,
    /// Its tokens, at least one.
    pub ids: &'a [u32],
    /// Probabilities of what may follow its tokens; rows count from 0 within the tail.
    pub wanted: &'a [Wanted],
}

/// A [`Tail`] of a sequence that is read in the same pass.
#[derive(Debug, Clone, Copy)]
pub struct PackedTail<'a> {
    /// It follows this many of the pieces.
    pub after_pieces: usize,
    /// Its tokens, at least one.
    pub ids: &'a [u32],
    /// As in [`Tail::wanted`].
    pub wanted: &'a [Wanted],
}
