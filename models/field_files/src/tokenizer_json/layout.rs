//! The parts of a `tokenizer.json`, counted while they are read.

use std::cell::Cell;
use std::fmt;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess,
    Visitor,
};
use serde_json::{Map, Number, Value};

use super::{MOST_ADDED, MOST_ADDED_BYTES, MOST_ENTRIES, MOST_TOKEN_BYTES};
use crate::json::JsonError;

/// Most values of a section of rules, and bytes of all its texts together. Published ones have some dozens, and a thousand.
const MOST_RULE_VALUES: usize = 1_024;
const MOST_RULE_BYTES: usize = 64 << 10;

/// The parts that take memory. A key that is given more than once counts as often, because the library reads each.
#[derive(Default)]
pub(super) struct Layout {
    pub(super) added: Added,
    pub(super) normalizer: Vec<Value>,
    pub(super) pre_tokenizer: Vec<Value>,
    pub(super) post_processor: Vec<Value>,
    pub(super) decoder: Vec<Value>,
    pub(super) model: Model,
}

/// The added tokens.
#[derive(Default)]
pub(super) struct Added {
    tokens: usize,
    bytes: usize,
    /// Bytes of those that are normalized.
    pub(super) normalized_bytes: u64,
}

/// The model.
#[derive(Default)]
pub(super) struct Model {
    kind: Option<String>,
    has_merges: bool,
    vocabulary: usize,
    merges: usize,
}

impl Model {
    /// Refuses all but a byte-pair encoding: the tables of the others take a hundred bytes for each byte of a token.
    pub(super) fn check(&self) -> Result<(), JsonError> {
        match self.kind.as_deref() {
            Some("BPE") => Ok(()),
            // Files of before the key existed.
            None if self.has_merges => Ok(()),
            kind => Err(JsonError::at(
                "model",
                format_args!(
                    "is of type {}; byte-pair encodings (BPE) are read",
                    kind.unwrap_or("none that is named")
                ),
            )),
        }
    }
}

impl<'de> Deserialize<'de> for Layout {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Parts;

        impl<'de> Visitor<'de> for Parts {
            type Value = Layout;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a tokenizer")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Layout, A::Error> {
                let mut layout = Layout::default();
                while let Some(key) = map.next_key::<String>()? {
                    let rules = match key.as_str() {
                        "added_tokens" => {
                            map.next_value_seed(AddedSeed(&mut layout.added))?;
                            continue;
                        }
                        "model" => {
                            map.next_value_seed(ModelSeed(&mut layout.model))?;
                            continue;
                        }
                        "normalizer" => &mut layout.normalizer,
                        "pre_tokenizer" => &mut layout.pre_tokenizer,
                        "post_processor" => &mut layout.post_processor,
                        "decoder" => &mut layout.decoder,
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                            continue;
                        }
                    };
                    let room = Room {
                        values: Cell::new(MOST_RULE_VALUES),
                        bytes: Cell::new(MOST_RULE_BYTES),
                    };
                    let section = map.next_value_seed(Rules(&room))?;
                    if !section.is_null() {
                        rules.push(section);
                    }
                }
                Ok(layout)
            }
        }

        from.deserialize_map(Parts)
    }
}

struct AddedSeed<'a>(&'a mut Added);

#[derive(serde::Deserialize)]
struct Token {
    #[serde(default)]
    content: String,
    #[serde(default)]
    normalized: bool,
}

impl<'de> DeserializeSeed<'de> for AddedSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for AddedSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of tokens")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let added = self.0;
        while let Some(Token {
            content,
            normalized,
        }) = items.next_element()?
        {
            added.tokens += 1;
            added.bytes += content.len();
            if normalized {
                added.normalized_bytes += content.len() as u64;
            }
            if added.tokens > MOST_ADDED {
                return Err(A::Error::custom(format_args!(
                    "there are more than {MOST_ADDED} added tokens; no more are taken"
                )));
            }
            if content.len() > MOST_TOKEN_BYTES {
                return Err(A::Error::custom(format_args!(
                    "a token of {} bytes is added; at most {MOST_TOKEN_BYTES} are taken",
                    content.len()
                )));
            }
            if added.bytes > MOST_ADDED_BYTES {
                return Err(A::Error::custom(format_args!(
                    "the added tokens have more than {MOST_ADDED_BYTES} bytes together; no more are taken"
                )));
            }
        }
        Ok(())
    }
}

struct ModelSeed<'a>(&'a mut Model);

impl<'de> DeserializeSeed<'de> for ModelSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ModelSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a model")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let model = self.0;
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "type" => model.kind = Some(map.next_value()?),
                "vocab" => map.next_value_seed(Entries {
                    count: &mut model.vocabulary,
                    name: "tokens in its vocabulary",
                })?,
                "merges" => {
                    model.has_merges = true;
                    map.next_value_seed(Entries {
                        count: &mut model.merges,
                        name: "merges",
                    })?;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// Counts the entries of a list or an object.
struct Entries<'a> {
    count: &'a mut usize,
    name: &'static str,
}

impl Entries<'_> {
    fn one_more<E: serde::de::Error>(&mut self) -> Result<(), E> {
        *self.count += 1;
        if *self.count > MOST_ENTRIES {
            let name = self.name;
            return Err(E::custom(format_args!(
                "the model has more than {MOST_ENTRIES} {name}; no more are taken"
            )));
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Entries<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Entries<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list or an object")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {
            self.one_more::<A::Error>()?;
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
            self.one_more::<A::Error>()?;
        }
        Ok(())
    }
}

/// What a section of rules may still have.
struct Room {
    values: Cell<usize>,
    bytes: Cell<usize>,
}

impl Room {
    fn take<E: serde::de::Error>(&self, bytes: usize) -> Result<(), E> {
        let left = |room: &Cell<usize>, taken: usize| {
            room.set(room.get().checked_sub(taken)?);
            Some(())
        };
        left(&self.values, 1)
            .and_then(|()| left(&self.bytes, bytes))
            .ok_or_else(|| {
                E::custom(format_args!(
                    "it has more than {MOST_RULE_VALUES} values or {MOST_RULE_BYTES} bytes of text; no more are taken"
                ))
            })
    }
}

/// A tree of limited size.
struct Rules<'a>(&'a Room);

impl<'de> DeserializeSeed<'de> for Rules<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Rules<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("rules")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Value, E> {
        self.0.take::<E>(0)?;
        Ok(Value::Null)
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Value, E> {
        self.0.take::<E>(0)?;
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Value, E> {
        self.0.take::<E>(0)?;
        Ok(value.into())
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Value, E> {
        self.0.take::<E>(0)?;
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        self.0.take::<E>(0)?;
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Value, E> {
        self.0.take::<E>(text.len())?;
        Ok(Value::String(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        self.0.take::<A::Error>(0)?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Rules(self.0))? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        self.0.take::<A::Error>(0)?;
        let mut object = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            self.0.take::<A::Error>(key.len())?;
            let value = map.next_value_seed(Rules(self.0))?;
            if object.contains_key(&key) {
                return Err(A::Error::custom(format_args!(
                    "the key {key:?} is given twice"
                )));
            }
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}
