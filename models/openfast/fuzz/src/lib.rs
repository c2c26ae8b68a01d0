//! What the fuzz targets share: the golden tokenizers, and shapes drawn from bytes.

use std::path::Path;
use std::sync::LazyLock;

use arbitrary::{Result, Unstructured};
use openfast::{FastTokenizer, Grammar, Shape};

/// The tokenizers of `tests/goldens/openfast`, and the library's own reading of each.
pub static TOKENIZERS: LazyLock<Vec<(FastTokenizer, tokenizers::Tokenizer)>> =
    LazyLock::new(|| {
        let goldens = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../tests/goldens/openfast");
        [
            "nano",
            "fine",
            "holes",
            "one",
            "four",
            "fraction",
            "twenty_five",
            "hundred",
            "fast_plus",
            "lerobot",
            "molmoact2",
        ]
        .iter()
        .map(|name| {
            let folder = goldens.join(name);
            (
                FastTokenizer::from_dir(&folder).expect("a golden loads"),
                tokenizers::Tokenizer::from_file(folder.join("tokenizer.json"))
                    .expect("the library loads a golden"),
            )
        })
        .collect()
    });

/// One of [`TOKENIZERS`].
///
/// # Errors
/// When the bytes have run out.
pub fn any_tokenizer(
    u: &mut Unstructured<'_>,
) -> Result<&'static (FastTokenizer, tokenizers::Tokenizer)> {
    u.choose(&TOKENIZERS)
}

/// A shape: mostly those of robots, sometimes any two numbers.
///
/// # Errors
/// When the bytes have run out.
pub fn any_shape(u: &mut Unstructured<'_>) -> Result<Shape> {
    let (horizon, dims) = if u.ratio(15u8, 16u8)? {
        (u.int_in_range(1..=50)?, u.int_in_range(1..=32)?)
    } else {
        (u.arbitrary()?, u.arbitrary()?)
    };
    Ok(Shape { horizon, dims })
}

/// Extends a stream under the grammar until it is complete, choosing among the allowed ids by the
/// bytes that are left. Panics at a dead end.
pub fn complete(grammar: &mut Grammar, ids: &mut Vec<u32>, u: &mut Unstructured<'_>) {
    while !grammar.is_complete() {
        let mask = grammar.mask();
        let allowed: Vec<u32> = (0..)
            .zip(&mask)
            .filter_map(|(id, &ok)| ok.then_some(id))
            .collect();
        assert!(
            !allowed.is_empty(),
            "dead end: {} to go",
            grammar.remaining()
        );
        let pick = u.arbitrary::<u16>().map_or(allowed.len() - 1, usize::from);
        let id = allowed[pick % allowed.len()];
        grammar.push(id).expect("the mask allows it");
        ids.push(id);
    }
}
