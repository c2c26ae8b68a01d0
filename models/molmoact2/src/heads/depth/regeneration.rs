//! The plan of a depth map: cells to regenerate and cells to keep.

use vision::RgbImage;

use super::change::{THRESHOLD, shrink, similarity};
use super::map::DepthMap;
use super::{Depth, DepthCache, DepthIds, DepthTrace};
use crate::error::ActError;

/// A run of cells that are all regenerated or all kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Span {
    /// This many cells are regenerated.
    New(usize),
    /// These codes are kept.
    Kept(Vec<u32>),
}

/// Plan of the depth map of one call.
#[derive(Debug, Clone)]
pub(crate) struct RegenerationPlan {
    /// `None` for unrestricted decoding.
    pub(crate) spans: Option<Vec<Span>>,
    pub(crate) similarity: Option<Vec<f32>>,
    /// The image that the next call compares with.
    pub(crate) frame: RgbImage,
}

impl RegenerationPlan {
    /// `None` if depth reasoning is off. `image` is the first camera's.
    pub(crate) fn new(
        depth: &Depth,
        ids: Option<&DepthIds>,
        image: &RgbImage,
    ) -> Result<Option<Self>, ActError> {
        let cache = match depth {
            Depth::Off => return Ok(None),
            Depth::Full | Depth::Free => None,
            Depth::Adaptive { cache } => cache.as_ref(),
        };
        let Some(ids) = ids else {
            return Err(ActError::DepthUnavailable);
        };
        let side = ids.cells.isqrt();
        // Only a square map can be compared with an image.
        let square = side * side == ids.cells;
        let refused = |index| move |source| ActError::Image { index, source };
        let frame = if square {
            shrink(image, side).map_err(refused(0))?
        } else {
            image.clone()
        };
        let whole = vec![Span::New(ids.cells)];
        let compared = match cache.filter(|cache| cache.codes.len() == ids.cells) {
            Some(_) if !square => return Err(ActError::DepthGrid { cells: ids.cells }),
            Some(cache) => {
                check_codes(cache, ids)?;
                let previous = shrink(&cache.image, side)
                    .map_err(|source| ActError::BadDepthFrame { source })?;
                Some((similarity(&frame, &previous, side), cache))
            }
            None => None,
        };
        Ok(Some(match compared {
            _ if *depth == Depth::Free => Self {
                spans: None,
                similarity: None,
                frame,
            },
            None => Self {
                spans: Some(whole),
                similarity: None,
                frame,
            },
            Some((similarity, cache)) => Self {
                spans: Some(spans(&similarity, &cache.codes)),
                similarity: Some(similarity),
                frame,
            },
        }))
    }
}

impl RegenerationPlan {
    /// The trace of a map that was decoded by this plan.
    pub(crate) fn trace(self, depth_map: DepthMap, gates: Option<Vec<f32>>) -> DepthTrace {
        DepthTrace {
            cache: DepthCache {
                image: self.frame,
                codes: depth_map.codes.clone(),
            },
            codes: depth_map.codes,
            regenerated: depth_map.regenerated,
            similarity: self.similarity,
            tokens: depth_map.tokens,
            forwards: depth_map.forwards,
            logits: depth_map.logits,
            gates,
        }
    }
}

fn check_codes(cache: &DepthCache, ids: &DepthIds) -> Result<(), ActError> {
    match cache
        .codes
        .iter()
        .position(|&code| code as usize >= ids.codes)
    {
        Some(cell) => Err(ActError::BadDepthCode {
            cell,
            code: cache.codes.get(cell).copied().unwrap_or_default(),
            codes: ids.codes,
        }),
        None => Ok(()),
    }
}

fn spans(similarity: &[f32], codes: &[u32]) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    for (&similarity, &code) in similarity.iter().zip(codes) {
        match (spans.last_mut(), similarity < THRESHOLD) {
            (Some(Span::New(count)), true) => *count += 1,
            (_, true) => spans.push(Span::New(1)),
            (Some(Span::Kept(kept)), false) => kept.push(code),
            (_, false) => spans.push(Span::Kept(vec![code])),
        }
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::{Span, spans};

    #[test]
    fn neighboring_cells_of_one_kind_make_one_span() {
        let similarity = [0.5, 1.0, 0.999, 0.996, 0.995_9, f32::NEG_INFINITY, 0.997];
        assert_eq!(
            spans(&similarity, &[1, 2, 3, 4, 5, 6, 7]),
            [
                Span::New(1),
                Span::Kept(vec![2, 3, 4]),
                Span::New(2),
                Span::Kept(vec![7])
            ]
        );
        assert!(spans(&[], &[]).is_empty());
    }
}
