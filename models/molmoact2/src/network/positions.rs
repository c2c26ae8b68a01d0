//! Position embeddings, resized to the grid of patches.

/// Support of the cubic kernel, in source positions.
const SUPPORT: f64 = 2.0;

/// Resizes a square table of position embeddings to `rows` by `columns` positions.
///
/// Bicubic with antialiasing (Keys' kernel, `a = -0.5`, widened when shrinking), half-pixel centers, weights
/// renormalized at the border, as `torch.nn.functional.interpolate` computes it with `mode="bicubic",
/// antialias=True, align_corners=False`.
///
/// - `table`: `[side * side, hidden]`, row-major.
///
/// Returns `[rows * columns, hidden]`.
pub(crate) fn resize(
    table: &[f32],
    side: usize,
    hidden: usize,
    rows: usize,
    columns: usize,
) -> Vec<f32> {
    if rows == side && columns == side {
        return table.to_vec();
    }
    let across = taps(side, columns);
    let wide: Vec<f32> = table
        .chunks(side * hidden)
        .flat_map(|line| blend(line, hidden, &across))
        .collect();
    blend(&wide, columns * hidden, &taps(side, rows))
}

/// For each target position, the first source position and the weights from there on.
fn taps(source: usize, target: usize) -> Vec<(usize, Vec<f32>)> {
    let scale = source as f64 / target as f64;
    let widening = scale.max(1.0);
    let reach = SUPPORT * widening;
    (0..target)
        .map(|place| {
            let center = scale * (place as f64 + 0.5);
            let first = (center - reach + 0.5).max(0.0) as usize;
            let end = ((center + reach + 0.5) as usize).min(source);
            let weights: Vec<f64> = (first..end)
                .map(|at| keys((at as f64 - center + 0.5) / widening))
                .collect();
            let total: f64 = weights.iter().sum();
            let weights = weights.iter().map(|w| (w / total) as f32).collect();
            (first, weights)
        })
        .collect()
}

/// The cubic kernel of Keys (1981) with `a = -0.5`.
fn keys(x: f64) -> f64 {
    let x = x.abs();
    if x < 1.0 {
        (1.5 * x - 2.5) * x * x + 1.0
    } else if x < 2.0 {
        ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    } else {
        0.0
    }
}

/// Weighted sums of runs of `width` values.
fn blend(values: &[f32], width: usize, taps: &[(usize, Vec<f32>)]) -> Vec<f32> {
    let mut out = Vec::with_capacity(taps.len() * width);
    for (first, weights) in taps {
        let mut sum = vec![0.0; width];
        for (run, weight) in values.chunks_exact(width).skip(*first).zip(weights) {
            for (slot, value) in sum.iter_mut().zip(run) {
                *slot += value * weight;
            }
        }
        out.extend(sum);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::resize;

    /// A 4x4 table of 2 values resized with torch 2.11.0:
    /// ```python
    /// t = torch.arange(32.).mul(0.7).sin().reshape(4, 4, 2)
    /// y = F.interpolate(t.permute(2, 0, 1)[None], size=size, mode="bicubic",
    ///                   align_corners=False, antialias=True)[0].permute(1, 2, 0).flatten()
    /// ```
    #[test]
    fn larger_smaller_and_oblong_grids_equal_torchs() {
        let table: Vec<f32> = (0..32).map(|i| (i as f32 * 0.7).sin()).collect();
        for (rows, columns, expected) in [
            (6, 6, &SIX_BY_SIX[..]),
            (2, 3, &TWO_BY_THREE[..]),
            (3, 5, &THREE_BY_FIVE[..]),
        ] {
            let found = resize(&table, 4, 2, rows, columns);
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(expected) {
                assert!(
                    (found - expected).abs() < 1e-5,
                    "{found} against {expected}"
                );
            }
        }
        assert_eq!(resize(&table, 4, 2, 4, 4), table);
    }

    const SIX_BY_SIX: [f32; 72] = [
        -0.021991, 0.674343, 0.537441, 0.838776, 0.991876, 0.721232, 0.46676, -0.208053, -0.379005,
        -0.783035, -0.984122, -1.028316, -0.351874, 0.349843, 0.279236, 0.706482, 0.912533,
        0.861974, 0.692423, 0.11304, -0.104906, -0.600576, -0.755165, -1.022372, -0.795018,
        -0.16126, -0.127544, 0.437195, 0.698219, 0.974132, 0.946763, 0.569165, 0.306221, -0.269562,
        -0.33963, -0.903249, -1.02173, -0.612063, -0.486532, 0.068861, 0.317322, 0.837871,
        0.954005, 0.864937, 0.624624, 0.116098, 0.144816, -0.562472, -0.991281, -0.921574,
        -0.733233, -0.332345, -0.161726, 0.477673, 0.712849, 0.947218, 0.793096, 0.487117,
        0.611136, -0.061262, -0.896981, -1.065516, -0.848062, -0.582797, -0.478183, 0.195339,
        0.494712, 0.933469, 0.849857, 0.705408, 0.885579, 0.286907,
    ];
    const TWO_BY_THREE: [f32; 12] = [
        -0.080681, 0.479259, 0.792341, 0.54584, -0.273746, -0.723422, -0.817544, -0.491277,
        0.355837, 0.732181, 0.658372, 0.163761,
    ];
    const THREE_BY_FIVE: [f32; 30] = [
        -0.182667, 0.508748, 0.672444, 0.884103, 0.842574, 0.420793, 0.072907, -0.511865,
        -0.838736, -1.01885, -0.882024, -0.360582, -0.019329, 0.546147, 0.789696, 0.87900,
        0.717902, 0.231426, -0.075277, -0.704979, -0.94947, -0.971578, -0.697254, -0.183087,
        0.171053, 0.707462, 0.848569, 0.808916, 0.742112, 0.113964,
    ];
}
