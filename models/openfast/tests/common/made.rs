//! Chunks made by integer arithmetic: the same bits here and in the generator.

use openfast::Shape;

const ONE: i64 = 1 << 20;

/// `mix` of `sweep.py`.
fn mix(index: u64) -> u64 {
    let z = index.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// `walk_steps` of `sweep.py`: a clamped walk per dimension, in steps of 2^-20.
fn walk_steps(chunk: u64, shape: Shape) -> Vec<i64> {
    let Shape { horizon, dims } = shape;
    let mut out = vec![0; horizon * dims];
    for dim in 0..dims {
        let first = (chunk * dims as u64 + dim as u64) * horizon as u64;
        let mut at = 0;
        for time in 0..horizon {
            let bits = mix(first + time as u64);
            at = match time {
                0 => (bits % (2 * ONE as u64)) as i64 - ONE,
                _ => (at + (bits % (1 << 18)) as i64 - (1 << 17)).clamp(-ONE, ONE),
            };
            out[time * dims + dim] = at;
        }
    }
    out
}

/// `sweep_chunk` of `sweep.py`: that walk within -1..=1.
pub fn sweep_chunk(chunk: u64, shape: Shape) -> Vec<f32> {
    made("walk", chunk, shape, 1.0)
}

/// `made` of `grid.py`: chunk number `chunk` of a kind.
pub fn made(kind: &str, chunk: u64, shape: Shape, scale: f64) -> Vec<f32> {
    let Shape { horizon, dims } = shape;
    let factor = match kind {
        "walk" => 1.0 / ONE as f64,
        "wide" => 8.0 / ONE as f64,
        "tiny" => 2.0f64.powi(-50),
        "subnormal" => 2.0f64.powi(-149),
        _ => 0.0,
    };
    if factor != 0.0 {
        let steps = walk_steps(chunk, shape);
        return steps
            .iter()
            .map(|&at| (at as f64 * factor) as f32)
            .collect();
    }
    let count = horizon * dims;
    let bits = |index: usize| mix(chunk * count as u64 + index as u64);
    let noise = |index: usize| ((bits(index) % (2 * ONE as u64)) as i64 - ONE) as f32 / ONE as f32;
    let last = count - dims;
    (0..count)
        .map(|index| {
            let (time, dim) = (index / dims, index % dims);
            match kind {
                "noise" => noise(index),
                "constant" => noise(dim),
                "step" if (time as u64) < (bits(dim) >> 32) % horizon as u64 => noise(dim),
                "step" => noise(last + dim),
                "square" if time % 4 < 2 => 1.0,
                "square" => -1.0,
                "tie" => ((bits(dim) % 12) as f32 - 5.5) / scale as f32 / (horizon as f32).sqrt(),
                kind => panic!("no such kind of chunk: {kind}"),
            }
        })
        .collect()
}
