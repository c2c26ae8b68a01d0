//! Figures of a tokenizer's vocabulary.

use openfast::{FastTokenizer, Shape};
use serde::Serialize;
use std::collections::BTreeMap;

/// Figures of a tokenizer's vocabulary.
#[derive(Debug, Clone, Serialize)]
pub(super) struct VocabularyFacts {
    pub(super) scale: f64,
    pub(super) min_token: i32,
    /// Number of ids.
    pub(super) ids: usize,
    /// Number of ids that `processor_config.json` declares.
    pub(super) ids_reserved: Option<u32>,
    /// Number of ids that an encoder can emit.
    pub(super) reachable_ids: usize,
    pub(super) unreachable_ids: usize,
    /// Smallest and largest coefficient that can be expressed.
    pub(super) coefficients: Option<(i32, i32)>,
    /// Coefficients in between that cannot be expressed.
    pub(super) holes: Vec<i32>,
    pub(super) declared_shape: Option<Shape>,
    /// Number of ids by the number of coefficients that begin in them.
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

/// True if there is a character for a coefficient. The 2048 surrogates are none, so no vocabulary can contain them.
fn is_character(coefficient: i32, min_token: i32) -> bool {
    u32::try_from(i64::from(coefficient) - i64::from(min_token))
        .is_ok_and(|character| char::from_u32(character).is_some())
}

/// Reachable ids with the number of coefficients that begin in each.
pub(super) fn lengths(tokenizer: &FastTokenizer) -> impl Iterator<Item = (u32, usize)> {
    let ids = u32::try_from(tokenizer.vocab_size()).unwrap_or(u32::MAX);
    (0..ids).filter_map(|id| Some((id, tokenizer.token_len(id)?)))
}

impl std::fmt::Display for VocabularyFacts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "vocabulary")?;
        write!(f, "  ids                {:>8}", self.ids)?;
        if let Some(reserved) = self.ids_reserved {
            write!(f, "   ({reserved} declared)")?;
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
