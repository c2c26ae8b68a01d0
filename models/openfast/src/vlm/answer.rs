//! A model's answer to FAST ids.

use super::{VlmError, VlmVocabulary};

impl VlmVocabulary {
    /// The model's ids to FAST ids. Takes action tokens alone, or those between the start token at
    /// the beginning and the end token at the end, after which the end of text may stand where
    /// `config.json` names one (`eos_token_id`): that is a whole answer of the model.
    ///
    /// # Errors
    /// For any other id at any other place.
    #[allow(clippy::wrong_self_convention, reason = "the counterpart of `to_vlm`")]
    pub fn from_vlm(&self, ids: &[u32]) -> Result<Vec<u32>, VlmError> {
        let (inside, offset) = match (self.without_end_of_text(ids), self.start, self.end) {
            ([first, rest @ ..], Some(start), Some(end)) if *first == start => {
                let (last, inside) = rest.split_last().ok_or(VlmError::NoEnd { end })?;
                if *last != end && self.fast_id(*last).is_some() {
                    return Err(VlmError::NoEnd { end });
                }
                // Anything else at the end is found below, after what stands before it.
                (if *last == end { inside } else { rest }, 1)
            }
            _ => (ids, 0),
        };
        inside
            .iter()
            .enumerate()
            .map(|(index, &id)| {
                self.fast_id(id).ok_or(VlmError::Unexpected {
                    position: index + offset,
                    id,
                })
            })
            .collect()
    }

    /// The ids without an end of text that stands after an end token.
    fn without_end_of_text<'a>(&self, ids: &'a [u32]) -> &'a [u32] {
        match ids {
            [before @ .., end, last]
                if Some(*end) == self.end && Some(*last) == self.end_of_text =>
            {
                ids.get(..=before.len()).unwrap_or(ids)
            }
            _ => ids,
        }
    }

    /// The model's ids to FAST ids as the reference reads them: what stands between the first start
    /// token (or the beginning, if there is none) and the next end token after it (or the end), with
    /// whatever is no action token left out without a word. What it left out may have stood for
    /// coefficients. For comparing; a robot is better served by [`Self::from_vlm`].
    #[must_use]
    #[allow(clippy::wrong_self_convention, reason = "the counterpart of `to_vlm`")]
    pub fn from_vlm_as_reference(&self, ids: &[u32]) -> Vec<u32> {
        let start = ids.iter().position(|&id| Some(id) == self.start);
        let inside = ids.get(start.map_or(0, |start| start + 1)..);
        inside
            .unwrap_or_default()
            .iter()
            .take_while(|&&id| start.is_none() || Some(id) != self.end)
            .filter_map(|&id| self.fast_id(id))
            .collect()
    }
}
