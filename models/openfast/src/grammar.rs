//! Grammar of decodable streams: the tokens that may come next.
//!
//! A stream is decodable when its tokens' coefficients add up to exactly `horizon * dims` and its
//! bytes are whole characters. Looking at the next token alone is not enough: a vocabulary without
//! a token of length 1, or with one that only ever stands inside a character, could leave a
//! remainder that nothing fills. So the set of (remaining coefficients, state inside a character)
//! from which the end can be reached is computed once, by dynamic programming, and only tokens that
//! lead into that set are allowed. It never dead-ends: from every allowed state some token is
//! allowed, until the stream is complete.
//!
//! Ids of one [`Class`] are interchangeable here and there are a few dozen classes, so a step queries
//! the table per class, not per id.

use std::sync::Arc;

use crate::utf8::Pending;
use crate::vocabulary::Class;
use crate::{FastTokenizer, GrammarError, Shape};

/// The state of a stream under generation.
///
/// ```no_run
/// # use openfast::{FastTokenizer, Grammar, GrammarError, Shape};
/// # fn pick(_: &[f32], _: &[bool]) -> u32 { 0 }
/// # fn generate(tokenizer: &FastTokenizer, logits: &[f32]) -> Result<Vec<u32>, GrammarError> {
/// let mut grammar = Grammar::new(tokenizer, Shape { horizon: 16, dims: 6 })?;
/// let mut ids = Vec::new();
/// while !grammar.is_complete() {
///     let id = pick(logits, &grammar.mask());
///     grammar.push(id)?;
///     ids.push(id);
/// }
/// // Now, and only now, the end token.
/// # Ok(ids)
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Grammar {
    tokenizer: FastTokenizer,
    /// For every number of remaining coefficients, the set of states from which the end is in reach.
    reach: Arc<[u8]>,
    remaining: usize,
    state: Pending,
    /// True if each class may come next; kept so that masking allocates nothing.
    open: Vec<bool>,
}

impl Grammar {
    /// A grammar for one chunk of this shape.
    ///
    /// # Errors
    /// For a bad shape, and when no stream of this vocabulary has exactly that many coefficients.
    pub fn new(tokenizer: &FastTokenizer, shape: Shape) -> Result<Self, GrammarError> {
        let want = shape.values().ok_or(GrammarError::BadShape(shape))?;
        let reach = reachable(tokenizer.inner.vocabulary.classes(), want);
        let mut grammar = Self {
            tokenizer: tokenizer.clone(),
            reach: reach.into(),
            remaining: want,
            state: Pending::Nothing,
            open: Vec::new(),
        };
        grammar.look_ahead();
        if grammar.in_reach(want, Pending::Nothing) {
            Ok(grammar)
        } else {
            Err(GrammarError::NoStream { want })
        }
    }

    /// True if this id keeps the stream decodable.
    #[must_use]
    pub fn allowed(&self, id: u32) -> bool {
        self.step(id).is_some()
    }

    /// [`Self::allowed`] for every id below [`FastTokenizer::vocab_size`].
    #[must_use]
    pub fn mask(&self) -> Vec<bool> {
        self.classes().map(|class| self.is_open(class)).collect()
    }

    /// Sets the score of every id that is not allowed to negative infinity, those beyond the
    /// vocabulary included. `logits` are scores of FAST ids, from id 0. Nothing is allocated.
    pub fn mask_logits(&self, logits: &mut [f32]) {
        let size = self.tokenizer.vocab_size().min(logits.len());
        let (known, beyond) = logits.split_at_mut(size);
        for (logit, class) in known.iter_mut().zip(self.classes()) {
            if !self.is_open(class) {
                *logit = f32::NEG_INFINITY;
            }
        }
        beyond.fill(f32::NEG_INFINITY);
    }

    fn classes(&self) -> impl Iterator<Item = Option<u16>> + '_ {
        self.tokenizer.inner.vocabulary.class_indices()
    }

    fn is_open(&self, class: Option<u16>) -> bool {
        class.is_some_and(|class| {
            self.open
                .get(usize::from(class))
                .copied()
                .unwrap_or_default()
        })
    }

    /// Recomputes `open` for the present state.
    fn look_ahead(&mut self) {
        let mut open = std::mem::take(&mut self.open);
        let classes = self.tokenizer.inner.vocabulary.classes();
        open.clear();
        open.extend(classes.iter().map(|class| self.step_class(class).is_some()));
        self.open = open;
    }

    /// Appends an id to the stream.
    ///
    /// # Errors
    /// When the id is not allowed; the state is then as before.
    pub fn push(&mut self, id: u32) -> Result<(), GrammarError> {
        let (remaining, state) = self.step(id).ok_or(GrammarError::NotAllowed {
            id,
            remaining: self.remaining,
        })?;
        self.remaining = remaining;
        self.state = state;
        self.look_ahead();
        Ok(())
    }

    /// True if the stream stands for a whole chunk. Then, and only then, it may end; no further
    /// id is allowed.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.remaining == 0 && self.state == Pending::Nothing
    }

    /// Coefficients that have not begun yet.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.remaining
    }

    fn step(&self, id: u32) -> Option<(usize, Pending)> {
        self.step_class(self.tokenizer.inner.vocabulary.class(id)?)
    }

    fn step_class(&self, class: &Class) -> Option<(usize, Pending)> {
        let state = class.after(self.state)?;
        let remaining = self.remaining.checked_sub(class.begun)?;
        self.in_reach(remaining, state)
            .then_some((remaining, state))
    }

    fn in_reach(&self, remaining: usize, state: Pending) -> bool {
        self.reach
            .get(remaining)
            .is_some_and(|states| states & state.bit() != 0)
    }
}

/// For every remainder up to `want`, the states from which some sequence of tokens ends exactly.
fn reachable(classes: &[Class], want: usize) -> Vec<u8> {
    let mut reach: Vec<u8> = Vec::with_capacity(want + 1);
    for remaining in 0..=want {
        let mut states = if remaining == 0 {
            Pending::Nothing.bit()
        } else {
            0
        };
        // A token in which no character begins only shortens what is pending, so the states it
        // leads to stand earlier in this order and are already decided.
        for state in Pending::ALL {
            let ends = classes.iter().any(|class| {
                let after = class.after(state);
                let reached = match class.begun {
                    0 => Some(states),
                    begun => remaining
                        .checked_sub(begun)
                        .and_then(|rest| reach.get(rest).copied()),
                };
                after
                    .zip(reached)
                    .is_some_and(|(after, reached)| reached & after.bit() != 0)
            });
            if ends {
                states |= state.bit();
            }
        }
        reach.push(states);
    }
    reach
}
