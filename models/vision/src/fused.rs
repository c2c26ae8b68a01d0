//! Fused multiply-add, without the instruction.

/// The bits of an f64 that an f32 has no room for.
const BEYOND_F32: u64 = (1 << 29) - 1;
/// Their value halfway between two f32.
const TIE: u64 = 1 << 28;

/// `a * b + c` rounded once to f32: what [`f32::mul_add`] gives, where that is finite and at least [`f32::MIN_POSITIVE`]
/// in magnitude or exact.
///
/// `mul_add` itself is a library call wherever the processor is not known to have the instruction (wasm, baseline
/// x86-64). Here the product is exact in f64 and the sum is rounded to f64 and then to f32, which is the same unless
/// the first rounding ends halfway between two f32.
#[inline(always)]
#[allow(
    clippy::cast_possible_truncation,
    reason = "the one rounding of a fused multiply-add"
)]
pub(crate) fn fused(a: f32, b: f32, c: f32) -> f32 {
    let (product, addend) = (f64::from(a) * f64::from(b), f64::from(c));
    let sum = product + addend;
    if sum.to_bits() & BEYOND_F32 == TIE {
        beside_tie(product, addend, sum) as f32
    } else {
        sum as f32
    }
}

/// `sum`, which is `product + addend` rounded, or its neighbour on the side of the tie where the exact sum lies.
#[cold]
fn beside_tie(product: f64, addend: f64, sum: f64) -> f64 {
    // The exact rounding error, whichever of the two is larger (Knuth's TwoSum).
    let seen = sum - product;
    let lost = (product - (sum - seen)) + (addend - seen);
    if lost == 0.0 {
        sum
    } else if (lost < 0.0) == (sum < 0.0) {
        f64::from_bits(sum.to_bits() + 1)
    } else {
        f64::from_bits(sum.to_bits() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::fused;
    use proptest::prelude::*;

    const STEP: f32 = f32::EPSILON;

    fn equals_mul_add(a: f32, b: f32, c: f32) {
        for (a, c) in [(a, c), (-a, c), (a, -c), (-a, -c)] {
            let (found, wanted) = (fused(a, b, c), a.mul_add(b, c));
            assert_eq!(found.to_bits(), wanted.to_bits(), "{a:e} * {b:e} + {c:e}");
        }
    }

    #[test]
    fn sums_beside_a_tie_are_rounded_once() {
        let (small, near) = (2_f32.powi(-12), 2_f32.powi(-11));
        // 2^-24 (1 - 2^-46) and 2^-24 (1 + 2^-33): f64 cannot tell either from half a step of `c`.
        let below = (small * (1.0 + STEP), small * (1.0 - STEP), 1.0 + STEP);
        let above = (
            small * (1.0 + near),
            small * (1.0 - near + near * near),
            1.0,
        );
        for (a, b, c) in [below, above] {
            let twice = (f64::from(a) * f64::from(b) + f64::from(c)) as f32;
            assert_ne!(twice, a.mul_add(b, c), "{a:e} * {b:e} + {c:e}");
            equals_mul_add(a, b, c);
        }
        // Ties themselves, and nothing lost at all.
        for (a, b, c) in [
            (small, small, 1.0),
            (small, small, 1.0 + STEP),
            (0.0, 0.5, 0.0),
            (0.5, 0.5, 0.25),
        ] {
            equals_mul_add(a, b, c);
        }
    }

    proptest! {
        #[test]
        fn any_sum_is_that_of_the_instruction(
            a in 1e-3_f32..1e6, b in 1e-3_f32..2.0, c in 1e-3_f32..1e6, shift in 0_i32..60, which in 0_u8..3,
        ) {
            let small = 2_f32.powi(-shift);
            match which {
                0 => equals_mul_add(a * small, b, c),
                1 => equals_mul_add(a, b, c * small),
                _ => equals_mul_add(a, b * small, c),
            }
        }

        /// Products of half a step of `c` and a little more or less.
        #[test]
        fn any_sum_near_a_tie_is_that_of_the_instruction(
            steps in (-40_i32..40, -40_i32..40, 0_i32..40), scale in -20_i32..20,
        ) {
            let near = |steps: i32| 1.0 + steps as f32 * STEP;
            let scale = 2_f32.powi(scale);
            let half = 2_f32.powi(-12);
            equals_mul_add(near(steps.0) * half * scale, near(steps.1) * half, near(steps.2) * scale);
        }
    }
}
