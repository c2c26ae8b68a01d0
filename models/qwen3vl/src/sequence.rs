//! Segments of text and vision as one sequence of rows for the language model.

use burn_tensor::{Tensor, TensorData};
use layers::MASK_VALUE;

use crate::context::Segment;
use crate::error::ScoreError;
use crate::network::Network;
use crate::positions::{MropePosition, position_after_vision, text_positions, vision_positions};

/// Rows in sequence, before masks are applied.
pub(crate) struct Sequence {
    /// Embeddings, `[rows, hidden]` together.
    embedded: Vec<Tensor<2>>,
    /// Per layer, features added there, in the same parts.
    deepstack: Vec<Vec<Tensor<2>>>,
    pub(crate) positions: Vec<MropePosition>,
    /// M-RoPE position of the next text token.
    pub(crate) next: u32,
}

/// A [`Sequence`] on the device.
pub(crate) struct Joined {
    pub(crate) x: Tensor<2>,
    pub(crate) deepstack: Vec<Tensor<2>>,
}

impl Sequence {
    /// An empty sequence; the next text token has the position `next`.
    pub(crate) fn from(next: u32) -> Self {
        Self {
            embedded: Vec::new(),
            deepstack: Vec::new(),
            positions: Vec::new(),
            next,
        }
    }

    /// Number of rows.
    pub(crate) fn len(&self) -> usize {
        self.positions.len()
    }

    /// Adds a segment.
    pub(crate) fn push(
        &mut self,
        network: &Network,
        segment: Segment<'_>,
    ) -> Result<(), ScoreError> {
        match segment {
            Segment::Text(ids) => self.push_text(network, ids),
            Segment::VisionBlock { tokens, block } => {
                if block >= tokens.blocks {
                    return Err(ScoreError::NoSuchBlock {
                        block,
                        blocks: tokens.blocks,
                    });
                }
                let count = tokens.tokens();
                let part = |all: &Tensor<2>| all.clone().narrow(0, block * count, count);
                let next = position_after_vision(self.next, tokens.rows, tokens.columns);
                check_position(network, next)?;
                self.deepstack.resize_with(tokens.deepstack.len(), Vec::new);
                self.fill(network);
                self.embedded.push(part(&tokens.merged));
                for (features, all) in self.deepstack.iter_mut().zip(&tokens.deepstack) {
                    features.push(part(all));
                }
                self.positions
                    .extend(vision_positions(self.next, tokens.rows, tokens.columns));
                self.next = next;
                Ok(())
            }
        }
    }

    /// Adds tokens of text.
    pub(crate) fn push_text(&mut self, network: &Network, ids: &[u32]) -> Result<(), ScoreError> {
        let visual = network.config().visual_ids();
        if let Some(&id) = ids.iter().find(|id| visual.contains(id)) {
            return Err(ScoreError::VisualTokenInText { id });
        }
        self.push_ids(network, ids)
    }

    /// Adds a generated token; any id counts as text.
    pub(crate) fn push_written(&mut self, network: &Network, id: u32) -> Result<(), ScoreError> {
        self.push_ids(network, &[id])
    }

    fn push_ids(&mut self, network: &Network, ids: &[u32]) -> Result<(), ScoreError> {
        if ids.is_empty() {
            return Ok(());
        }
        let vocab_size = network.text().vocab_size();
        if let Some(&id) = ids.iter().find(|id| **id as usize >= vocab_size) {
            return Err(ScoreError::UnknownToken { id, vocab_size });
        }
        let next = self
            .next
            .saturating_add(u32::try_from(ids.len()).unwrap_or(u32::MAX));
        check_position(network, next)?;
        self.embedded.push(network.text().embedding.select(ids));
        self.positions.extend(text_positions(self.next, ids.len()));
        self.next = next;
        Ok(())
    }

    /// Zeros in the deepstack parts for every row that has none yet.
    fn fill(&mut self, network: &Network) {
        for features in &mut self.deepstack {
            for part in self.embedded.iter().skip(features.len()) {
                features.push(Tensor::zeros(part.dims(), network.device()));
            }
        }
    }

    /// All rows as tensors; `None` if there are none.
    pub(crate) fn join(&mut self, network: &Network) -> Option<Joined> {
        if self.embedded.is_empty() {
            return None;
        }
        self.fill(network);
        let cat = |parts: Vec<Tensor<2>>| Tensor::cat(parts, 0);
        Some(Joined {
            x: cat(std::mem::take(&mut self.embedded)),
            deepstack: std::mem::take(&mut self.deepstack)
                .into_iter()
                .map(cat)
                .collect(),
        })
    }
}

fn check_position(network: &Network, next: u32) -> Result<(), ScoreError> {
    let max = network.text().max_positions();
    if next as usize > max {
        return Err(ScoreError::TooLong {
            position: next as usize,
            max,
        });
    }
    Ok(())
}

/// Attention mask `sees(row, column)` as a bias for the scores, `[1, rows, columns]`. `None` where every row attends to
/// every column.
pub(crate) fn bias(
    network: &Network,
    rows: usize,
    columns: usize,
    sees: impl Fn(usize, usize) -> bool,
) -> Option<Tensor<3>> {
    let sees = &sees;
    let values: Vec<f32> = (0..rows)
        .flat_map(|row| {
            (0..columns).map(move |column| if sees(row, column) { 0.0 } else { MASK_VALUE })
        })
        .collect();
    values.iter().any(|value| *value != 0.0).then(|| {
        Tensor::from_data(
            TensorData::new(values, [1, rows, columns]),
            network.device(),
        )
    })
}
