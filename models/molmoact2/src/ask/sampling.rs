//! Token sampling with temperature and nucleus (top-p).

use crate::ask::reply::AskOptions;
use crate::error::{ActError, AskError};

/// Token sampler, greedy at temperature 0.
#[derive(Debug)]
pub(crate) struct TokenSampler {
    temperature: f64,
    top_p: f64,
    /// State of a SplitMix64 generator.
    state: u64,
}

impl TokenSampler {
    pub(crate) fn new(options: &AskOptions) -> Result<Self, AskError> {
        let (temperature, top_p) = (options.temperature, options.top_p);
        if !(temperature.is_finite() && temperature >= 0.0) {
            return Err(AskError::BadOption {
                option: "temperature",
                value: temperature,
                wanted: "a number from 0 up is needed",
            });
        }
        if !(top_p > 0.0 && top_p <= 1.0) {
            return Err(AskError::BadOption {
                option: "top_p",
                value: top_p,
                wanted: "a number above 0, at most 1, is needed",
            });
        }
        Ok(Self {
            temperature: f64::from(temperature),
            top_p: f64::from(top_p),
            state: options.seed,
        })
    }

    /// Id of the next token. NaN has probability 0.
    pub(crate) fn sample(&mut self, scores: &[f32]) -> Result<u32, ActError> {
        let best = best(scores).ok_or(ActError::NotFinite {
            what: "every score of the language model",
        })?;
        if self.temperature == 0.0 {
            return Ok(best.0);
        }
        let most = f64::from(best.1);
        let mut shares: Vec<(u32, f64)> = (0..)
            .zip(scores)
            .filter(|(_, score)| !score.is_nan())
            .map(|(id, score)| {
                // Equal infinities differ by NaN, and have the highest probability.
                let below = f64::from(*score) - most;
                let below = if below.is_nan() { 0.0 } else { below };
                (id, (below / self.temperature).exp())
            })
            .collect();
        // Likeliest first, ties by id, so that the draw depends on the seed alone.
        shares.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let total: f64 = shares.iter().map(|(_, share)| share).sum();
        // As in the reference, a token stays if the tokens before it do not reach `top_p`.
        let mut kept = 0.0;
        let mut count = 0;
        for (_, share) in &shares {
            if count > 0 && kept >= self.top_p * total {
                break;
            }
            kept += share;
            count += 1;
        }
        let mut left = self.uniform() * kept;
        for (id, share) in shares.iter().take(count) {
            left -= share;
            if left <= 0.0 {
                return Ok(*id);
            }
        }
        // Rounding can leave a remainder.
        Ok(best.0)
    }

    /// A uniform draw from 0..1.
    fn uniform(&mut self) -> f64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        (z >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// The first of the largest scores.
fn best(scores: &[f32]) -> Option<(u32, f32)> {
    let mut best: Option<(u32, f32)> = None;
    for (id, &score) in (0..).zip(scores) {
        if !score.is_nan() && best.is_none_or(|(_, most)| score > most) {
            best = Some((id, score));
        }
    }
    best
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn sampler(temperature: f32, top_p: f32, seed: u64) -> TokenSampler {
        TokenSampler::new(&AskOptions {
            temperature,
            top_p,
            seed,
            ..AskOptions::default()
        })
        .unwrap()
    }

    #[test]
    fn without_temperature_the_likeliest_is_taken_and_the_first_of_equals() {
        let mut sampler = sampler(0.0, 1.0, 3);
        assert_eq!(sampler.sample(&[1.0, 5.0, f32::NAN, 5.0]).unwrap(), 1);
        assert!(sampler.sample(&[f32::NAN]).is_err());
        assert!(sampler.sample(&[]).is_err());
    }

    #[test]
    fn draws_follow_the_probabilities_and_the_seed() {
        let scores = [0.0, (3.0_f32).ln(), f32::NEG_INFINITY, (4.0_f32).ln()];
        let draw = |seed| {
            let mut sampler = sampler(1.0, 1.0, seed);
            (0..20_000)
                .map(|_| sampler.sample(&scores).unwrap())
                .collect::<Vec<_>>()
        };
        let drawn = draw(7);
        assert_eq!(drawn, draw(7));
        assert_ne!(drawn, draw(8));
        let share = |id| drawn.iter().filter(|drawn| **drawn == id).count() as f64 / 20_000.0;
        for (id, expected) in [(0, 0.125), (1, 0.375), (2, 0.0), (3, 0.5)] {
            assert!((share(id) - expected).abs() < 0.02, "{id}: {}", share(id));
        }
    }

    #[test]
    fn top_p_keeps_the_tokens_that_reach_it() {
        // Probabilities 0.5, 0.375, 0.125: 0.6 needs the first two.
        let scores = [(3.0_f32).ln(), 0.0, (4.0_f32).ln()];
        let mut some = sampler(1.0, 0.6, 1);
        let drawn: Vec<u32> = (0..2000).map(|_| some.sample(&scores).unwrap()).collect();
        assert!(drawn.contains(&0) && drawn.contains(&2) && !drawn.contains(&1));
        let mut one = sampler(1.0, 0.4, 1);
        assert!((0..500).all(|_| one.sample(&scores).unwrap() == 2));
    }

    #[test]
    fn a_low_temperature_is_nearly_greedy_and_a_bad_one_is_refused() {
        let mut cold = sampler(1e-3, 1.0, 5);
        assert!((0..200).all(|_| cold.sample(&[1.0, 2.0, 1.5]).unwrap() == 1));
        let bad = |temperature, top_p| {
            TokenSampler::new(&AskOptions {
                temperature,
                top_p,
                ..AskOptions::default()
            })
            .unwrap_err()
            .to_string()
        };
        assert!(bad(-1.0, 1.0).starts_with("temperature is -1"));
        assert!(bad(f32::NAN, 1.0).starts_with("temperature is NaN"));
        assert!(bad(1.0, 0.0).starts_with("top_p is 0"));
        assert!(bad(1.0, 1.5).starts_with("top_p is 1.5"));
    }
}
