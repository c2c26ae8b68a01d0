//! Two float64 numbers that are computed with at once.
//!
//! Natively the compiler sees by itself that the sums of several columns can go side by side. For
//! WebAssembly it does not, so there they are asked for by name. Both round each product and each
//! sum, so both give the same bits.

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
pub(super) use plain::Pair;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
pub(super) use wide::Pair;

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod wide {
    use std::arch::wasm32::{f64x2, f64x2_add, f64x2_extract_lane, f64x2_mul, f64x2_splat, v128};

    #[derive(Clone, Copy)]
    pub(in crate::dct) struct Pair(v128);

    impl Pair {
        #[inline]
        pub(in crate::dct) fn both(value: f64) -> Self {
            Self(f64x2_splat(value))
        }

        #[inline]
        pub(in crate::dct) fn of([first, second]: [f64; 2]) -> Self {
            Self(f64x2(first, second))
        }

        /// This and a product of two others.
        #[inline]
        pub(in crate::dct) fn plus_product(self, left: Self, right: Self) -> Self {
            Self(f64x2_add(self.0, f64x2_mul(left.0, right.0)))
        }

        #[inline]
        pub(in crate::dct) fn values(self) -> [f64; 2] {
            [
                f64x2_extract_lane::<0>(self.0),
                f64x2_extract_lane::<1>(self.0),
            ]
        }
    }
}

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
mod plain {
    #[derive(Clone, Copy)]
    pub(in crate::dct) struct Pair([f64; 2]);

    impl Pair {
        #[inline]
        pub(in crate::dct) fn both(value: f64) -> Self {
            Self([value; 2])
        }

        #[inline]
        pub(in crate::dct) fn of(values: [f64; 2]) -> Self {
            Self(values)
        }

        /// This and a product of two others.
        #[inline]
        pub(in crate::dct) fn plus_product(self, left: Self, right: Self) -> Self {
            let ([a, b], [left_a, left_b], [right_a, right_b]) = (self.0, left.0, right.0);
            Self([a + left_a * right_a, b + left_b * right_b])
        }

        #[inline]
        pub(in crate::dct) fn values(self) -> [f64; 2] {
            self.0
        }
    }
}
