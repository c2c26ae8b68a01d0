//! Initial noise of a flow.

/// `count` draws from the standard normal distribution, equal for equal seeds on every machine.
///
/// SplitMix64 and the Box–Muller transform in `f64`: small, stateless, and good enough for a few hundred draws. It
/// does not reproduce the generator of another framework; comparisons pass the noise in.
pub(crate) fn standard_normal(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed;
    let mut uniform = move || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        // 53 bits, moved off zero so that the logarithm below is finite.
        ((z >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    };
    let mut values = Vec::with_capacity(count + 1);
    while values.len() < count {
        let radius = (-2.0 * uniform().ln()).sqrt();
        let angle = std::f64::consts::TAU * uniform();
        values.push((radius * angle.cos()) as f32);
        values.push((radius * angle.sin()) as f32);
    }
    values.truncate(count);
    values
}

#[cfg(test)]
mod tests {
    use super::standard_normal;

    #[test]
    fn draws_have_mean_zero_and_variance_one_and_follow_the_seed() {
        let count = 100_001;
        let draws = standard_normal(7, count);
        assert_eq!(draws.len(), count);
        let mean = draws.iter().map(|&x| f64::from(x)).sum::<f64>() / count as f64;
        let variance = draws
            .iter()
            .map(|&x| (f64::from(x) - mean).powi(2))
            .sum::<f64>()
            / count as f64;
        assert!(mean.abs() < 0.02, "mean {mean}");
        assert!((variance - 1.0).abs() < 0.03, "variance {variance}");
        assert_eq!(draws, standard_normal(7, count));
        assert_ne!(draws, standard_normal(8, count));
    }
}
