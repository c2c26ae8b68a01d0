//! What a tokenizer's vocabulary holds, in figures.

use openfast::{FastTokenizer, Shape};
use serde::Serialize;
use std::collections::BTreeMap;

/// The vocabulary of a tokenizer.
#[derive(Debug, Clone, Serialize)]
pub(super) struct VocabularyFacts {
    pub(super) scale: f64,
    pub(super) min_token: i32,
    /// Ids that there are.
    pub(super) ids: usize,
    /// Ids that `processor_config.json` asks for.
    pub(super) ids_reserved: Option<u32>,
    /// Ids that an encoder can emit.
    pub(super) reachable_ids: usize,
    pub(super) unreachable_ids: usize,
    /// Coefficients from the smallest to the largest that can be expressed.
    pub(super) coefficients: Option<(i32, i32)>,
    /// Coefficients in between that cannot.
    pub(super) holes: Vec<i32>,
    pub(super) declared_shape: Option<Shape>,
    /// Ids by how many coefficients begin in them.
    pub(super) ids_by_length: BTreeMap<usize, usize>,
}

impl VocabularyFacts {
    pub(super) fn of(tokenizer: &FastTokenizer) -> Self {
        let config = tokenizer.config();
        let ids = tokenizer.vocab_size();
        let reachable = tokenizer.reachable_ids();
        let mut ids_by_length = BTreeMap::new();
        for length in lengths(tokenizer).map(|(_, length)| length) {
            *ids_by_length.entry(length).or_insert(0) += 1;
        }
        Self {
            scale: config.scale,
            min_token: config.min_token,
            ids,
            ids_reserved: config.vocab_size,
            reachable_ids: reachable,
            unreachable_ids: ids.saturating_sub(reachable),
            coefficients: tokenizer.expressible_range(),
            holes: tokenizer
                .holes()
                .into_iter()
                .filter(|&hole| is_character(hole, config.min_token))
                .collect(),
            declared_shape: config.shape(),
            ids_by_length,
        }
    }
}

/// Whether there is a character for a coefficient: none for the 2048 surrogates, which no vocabulary could hold.
fn is_character(coefficient: i32, min_token: i32) -> bool {
    u32::try_from(i64::from(coefficient) - i64::from(min_token))
        .is_ok_and(|character| char::from_u32(character).is_some())
}

/// Reachable ids and how many coefficients begin in each.
pub(super) fn lengths(tokenizer: &FastTokenizer) -> impl Iterator<Item = (u32, usize)> {
    let ids = u32::try_from(tokenizer.vocab_size()).unwrap_or(u32::MAX);
    (0..ids).filter_map(|id| Some((id, tokenizer.token_len(id)?)))
}

impl std::fmt::Display for VocabularyFacts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "vocabulary")?;
        write!(f, "  ids                {:>8}", self.ids)?;
        if let Some(reserved) = self.ids_reserved {
            write!(f, "   ({reserved} asked for)")?;
        }
        writeln!(f)?;
        writeln!(f, "  reachable          {:>8}", self.reachable_ids)?;
        writeln!(
            f,
            "  never emitted      {:>8}   (alphabet entries outside the byte-level alphabet)",
            self.unreachable_ids
        )?;
        writeln!(f, "  scale              {:>8}", self.scale)?;
        if let Some((low, high)) = self.coefficients {
            writeln!(f, "  coefficients       {:>8}", format!("{low}..={high}"))?;
        }
        write!(f, "  holes              {:>8}", self.holes.len())?;
        if !self.holes.is_empty() {
            let first: Vec<String> = self.holes.iter().take(12).map(i32::to_string).collect();
            let more = if self.holes.len() > 12 { ", …" } else { "" };
            write!(f, "   ({}{more})", first.join(", "))?;
        }
        writeln!(f)?;
        match self.declared_shape {
            Some(shape) => writeln!(f, "  declared shape     {:>8}", shape.to_string()),
            None => writeln!(f, "  declared shape         none"),
        }
    }
}
