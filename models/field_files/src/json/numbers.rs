//! Numbers of which some are not finite.

use std::fmt;

use serde::de::{Deserializer, SeqAccess, Visitor};

/// Reads numbers of which some may not be finite (`NaN`, `Infinity`, or null as pandas writes them), for
/// `#[serde(deserialize_with)]` on an optional list: who uses a value checks it.
///
/// # Errors
/// As the deserialiser.
pub fn maybe_finite<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<f32>>, D::Error> {
    struct Numbers;

    impl<'de> Visitor<'de> for Numbers {
        type Value = Option<Vec<f32>>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of numbers")
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_none<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
            from.deserialize_seq(self)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
            let mut values = Vec::new();
            while let Some(Number(value)) = items.next_element()? {
                values.push(value);
            }
            Ok(Some(values))
        }
    }

    from.deserialize_option(Numbers)
}

/// A number, or what stands for one that is not finite.
struct Number(f32);

impl<'de> serde::Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct One;

        impl Visitor<'_> for One {
            type Value = Number;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }

            fn visit_f64<E>(self, value: f64) -> Result<Number, E> {
                Ok(Number(value as f32))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Number, E> {
                Ok(Number(value as f32))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Number, E> {
                Ok(Number(value as f32))
            }

            fn visit_unit<E>(self) -> Result<Number, E> {
                Ok(Number(f32::NAN))
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Number, E> {
                match text {
                    "NaN" => Ok(Number(f32::NAN)),
                    "Infinity" => Ok(Number(f32::INFINITY)),
                    "-Infinity" => Ok(Number(f32::NEG_INFINITY)),
                    other => Err(E::invalid_type(serde::de::Unexpected::Str(other), &self)),
                }
            }
        }

        from.deserialize_any(One)
    }
}
