//! Sequences of different lengths in one matrix.

use burn_tensor::{Device, Int, Tensor, TensorData};

/// The rows of several sequences one after the other.
///
/// Operations on rows take them as they are. Attention needs the same number of places for each sequence:
/// [`Ragged::spread`] makes the places, [`Ragged::gather`] takes the rows back out of them. For sequences of
/// one length, one sequence above all, both cost nothing.
#[derive(Debug, Clone)]
pub struct Ragged {
    lens: Vec<usize>,
    longest: usize,
    moves: Option<Moves>,
}

/// Row numbers on the device, for lengths that differ.
#[derive(Debug, Clone)]
struct Moves {
    /// Per place, the row it holds.
    spread: Tensor<1, Int>,
    /// Per row, its place.
    gather: Tensor<1, Int>,
}

impl Ragged {
    /// Sequences of these lengths, not all of them 0.
    pub fn new(lens: Vec<usize>, device: &Device) -> Self {
        let longest = lens.iter().copied().max().unwrap_or(0);
        let moves = lens.iter().any(|&len| len != longest).then(|| {
            let (mut spread, mut gather) = (Vec::new(), Vec::new());
            let mut first = 0_usize;
            for (sequence, &len) in lens.iter().enumerate() {
                // A place past the end holds a row that exists, so that nothing there is ever not a number.
                let last = (first + len).saturating_sub(1);
                spread.extend((0..longest).map(|at| (first + at).min(last) as i32));
                gather.extend((0..len).map(|at| (sequence * longest + at) as i32));
                first += len;
            }
            Moves {
                spread: indices(spread, device),
                gather: indices(gather, device),
            }
        });
        Self {
            lens,
            longest,
            moves,
        }
    }

    /// The length of each sequence.
    pub fn lens(&self) -> &[usize] {
        &self.lens
    }

    /// Number of sequences.
    pub fn sequences(&self) -> usize {
        self.lens.len()
    }

    /// The length of the longest, which is the number of places of each.
    pub fn longest(&self) -> usize {
        self.longest
    }

    /// True if the lengths differ, so that some places are padding.
    pub fn has_holes(&self) -> bool {
        self.moves.is_some()
    }

    /// `[rows, width]` to `[sequences * longest, width]`. Places past the end of a sequence hold some other row.
    pub fn spread(&self, rows: Tensor<2>) -> Tensor<2> {
        match &self.moves {
            Some(moves) => rows.select(0, moves.spread.clone()),
            None => rows,
        }
    }

    /// `[sequences * longest, width]` to `[rows, width]`: the inverse of [`Ragged::spread`].
    pub fn gather(&self, places: Tensor<2>) -> Tensor<2> {
        match &self.moves {
            Some(moves) => places.select(0, moves.gather.clone()),
            None => places,
        }
    }
}

fn indices(values: Vec<i32>, device: &Device) -> Tensor<1, Int> {
    let count = values.len();
    Tensor::from_data(TensorData::new(values, [count]), device)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::Ragged;
    use crate::device::cpu;
    use burn_tensor::{Tensor, TensorData};

    fn values(tensor: Tensor<2>) -> Vec<f32> {
        tensor.into_data().as_slice::<f32>().unwrap().to_vec()
    }

    fn rows(count: usize) -> Tensor<2> {
        let values: Vec<f32> = (0..count).map(|row| row as f32).collect();
        Tensor::from_data(TensorData::new(values, [count, 1]), &cpu())
    }

    #[test]
    fn rows_get_places_and_come_back() {
        let ragged = Ragged::new(vec![2, 0, 3, 1], &cpu());
        assert!(ragged.has_holes());
        let places = ragged.spread(rows(6));
        assert_eq!(
            values(places.clone()),
            [0., 1., 1., 1., 1., 1., 2., 3., 4., 5., 5., 5.]
        );
        assert_eq!(values(ragged.gather(places)), values(rows(6)));
        // Nothing comes before an empty first sequence.
        let ragged = Ragged::new(vec![0, 2], &cpu());
        assert_eq!(values(ragged.spread(rows(2))), [0., 0., 0., 1.]);
    }

    #[test]
    fn equal_lengths_need_no_moving() {
        let ragged = Ragged::new(vec![3, 3], &cpu());
        assert!(!ragged.has_holes());
        assert_eq!(values(ragged.spread(rows(6))), values(rows(6)));
    }
}
