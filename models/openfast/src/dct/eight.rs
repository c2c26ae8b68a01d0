//! Eight numbers that are computed with at once: a row of as many columns.
//!
//! Natively the compiler sees by itself that they can go side by side. For WebAssembly it does not, so
//! there they are used by name. Both round each product and each sum, so both give the same bits.

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
pub(super) use plain::{Eight32, Eight64};
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
pub(super) use wide::{Eight32, Eight64};

/// Number of lanes.
pub(super) const LANES: usize = 8;

/// Eight of `Number`.
pub(super) trait Eight: Copy + Default {
    /// `f32` or `f64`.
    type Number: Copy + Default;

    /// A weight, rounded to this precision.
    fn weight(value: f64) -> Self::Number;
    fn of(values: [f32; LANES]) -> Self;
    fn values(self) -> [Self::Number; LANES];
    fn plus(self, other: Self) -> Self;
    fn minus(self, other: Self) -> Self;
    fn times(self, factor: Self::Number) -> Self;

    /// This and the product of another with a number.
    #[inline]
    fn plus_product(self, factor: Self::Number, other: Self) -> Self {
        self.plus(other.times(factor))
    }
}

/// Added to a float32 of magnitude below 2^22, this leaves no bits for a fraction: the sum is rounded to a
/// whole number, half to even.
const WHOLE: f32 = 12_582_912.0;

impl Eight32 {
    /// Distance of each to the nearest whole number, or the value of `most` there if that is more. All
    /// magnitudes must be below 2^22.
    #[inline]
    pub(super) fn off_whole(self, most: Self) -> Self {
        let whole = Self::all(WHOLE);
        self.minus(self.plus(whole).minus(whole)).magnitude_or(most)
    }
}

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
mod plain {
    use super::{Eight, LANES};

    macro_rules! eight {
        ($name:ident, $number:ty) => {
            #[derive(Debug, Clone, Copy, Default)]
            pub(in crate::dct) struct $name([$number; LANES]);

            impl $name {
                #[inline]
                fn with(self, other: Self, both: impl Fn($number, $number) -> $number) -> Self {
                    let mut values = self.0;
                    for (value, other) in values.iter_mut().zip(other.0) {
                        *value = both(*value, other);
                    }
                    Self(values)
                }
            }

            impl Eight for $name {
                type Number = $number;

                #[inline]
                fn weight(value: f64) -> $number {
                    value as $number
                }

                #[inline]
                fn of(values: [f32; LANES]) -> Self {
                    Self(values.map(<$number>::from))
                }

                #[inline]
                fn values(self) -> [$number; LANES] {
                    self.0
                }

                #[inline]
                fn plus(self, other: Self) -> Self {
                    self.with(other, |a, b| a + b)
                }

                #[inline]
                fn minus(self, other: Self) -> Self {
                    self.with(other, |a, b| a - b)
                }

                #[inline]
                fn times(self, factor: $number) -> Self {
                    self.with(Self([factor; LANES]), |a, b| a * b)
                }
            }
        };
    }

    eight!(Eight32, f32);
    eight!(Eight64, f64);

    impl Eight32 {
        #[inline]
        pub(in crate::dct) fn all(value: f32) -> Self {
            Self([value; LANES])
        }

        /// The larger of each magnitude and what `other` has there.
        #[inline]
        pub(in crate::dct) fn magnitude_or(self, other: Self) -> Self {
            self.with(other, |a, b| if a.abs() > b { a.abs() } else { b })
        }
    }
}

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod wide {
    use std::arch::wasm32::{
        f32x4, f32x4_abs, f32x4_add, f32x4_extract_lane, f32x4_mul, f32x4_pmax, f32x4_splat,
        f32x4_sub, f64x2_add, f64x2_extract_lane, f64x2_mul, f64x2_promote_low_f32x4, f64x2_splat,
        f64x2_sub, v128,
    };

    use super::{Eight, LANES};

    #[derive(Debug, Clone, Copy)]
    pub(in crate::dct) struct Eight32([v128; 2]);

    #[derive(Debug, Clone, Copy)]
    pub(in crate::dct) struct Eight64([v128; 4]);

    impl Default for Eight32 {
        #[inline]
        fn default() -> Self {
            Self::all(0.0)
        }
    }

    impl Default for Eight64 {
        #[inline]
        fn default() -> Self {
            Self([f64x2_splat(0.0); 4])
        }
    }

    impl Eight32 {
        #[inline]
        pub(in crate::dct) fn all(value: f32) -> Self {
            Self([f32x4_splat(value); 2])
        }

        /// The larger of each magnitude and what `other` has there.
        #[inline]
        pub(in crate::dct) fn magnitude_or(self, other: Self) -> Self {
            let ([a, b], [c, d]) = (self.0, other.0);
            Self([f32x4_pmax(c, f32x4_abs(a)), f32x4_pmax(d, f32x4_abs(b))])
        }
    }

    impl Eight for Eight32 {
        type Number = f32;

        #[inline]
        fn weight(value: f64) -> f32 {
            value as f32
        }

        #[inline]
        fn of([a, b, c, d, e, f, g, h]: [f32; LANES]) -> Self {
            Self([f32x4(a, b, c, d), f32x4(e, f, g, h)])
        }

        #[inline]
        fn values(self) -> [f32; LANES] {
            let four = |v| {
                [
                    f32x4_extract_lane::<0>(v),
                    f32x4_extract_lane::<1>(v),
                    f32x4_extract_lane::<2>(v),
                    f32x4_extract_lane::<3>(v),
                ]
            };
            let [[a, b, c, d], [e, f, g, h]] = self.0.map(four);
            [a, b, c, d, e, f, g, h]
        }

        #[inline]
        fn plus(self, other: Self) -> Self {
            let ([a, b], [c, d]) = (self.0, other.0);
            Self([f32x4_add(a, c), f32x4_add(b, d)])
        }

        #[inline]
        fn minus(self, other: Self) -> Self {
            let ([a, b], [c, d]) = (self.0, other.0);
            Self([f32x4_sub(a, c), f32x4_sub(b, d)])
        }

        #[inline]
        fn times(self, factor: f32) -> Self {
            let factor = f32x4_splat(factor);
            Self(self.0.map(|v| f32x4_mul(v, factor)))
        }
    }

    impl Eight for Eight64 {
        type Number = f64;

        #[inline]
        fn weight(value: f64) -> f64 {
            value
        }

        #[inline]
        fn of([a, b, c, d, e, f, g, h]: [f32; LANES]) -> Self {
            let two = |a, b| f64x2_promote_low_f32x4(f32x4(a, b, 0.0, 0.0));
            Self([two(a, b), two(c, d), two(e, f), two(g, h)])
        }

        #[inline]
        fn values(self) -> [f64; LANES] {
            let two = |v| [f64x2_extract_lane::<0>(v), f64x2_extract_lane::<1>(v)];
            let [[a, b], [c, d], [e, f], [g, h]] = self.0.map(two);
            [a, b, c, d, e, f, g, h]
        }

        #[inline]
        fn plus(self, other: Self) -> Self {
            let ([a, b, c, d], [e, f, g, h]) = (self.0, other.0);
            Self([
                f64x2_add(a, e),
                f64x2_add(b, f),
                f64x2_add(c, g),
                f64x2_add(d, h),
            ])
        }

        #[inline]
        fn minus(self, other: Self) -> Self {
            let ([a, b, c, d], [e, f, g, h]) = (self.0, other.0);
            Self([
                f64x2_sub(a, e),
                f64x2_sub(b, f),
                f64x2_sub(c, g),
                f64x2_sub(d, h),
            ])
        }

        #[inline]
        fn times(self, factor: f64) -> Self {
            let factor = f64x2_splat(factor);
            Self(self.0.map(|v| f64x2_mul(v, factor)))
        }
    }
}
