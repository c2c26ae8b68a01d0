//! The same ids as the `tokenizers` crate, string by string.

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use super::{Bpe, Workspace};
use crate::config::Layout;

const SHIPPED: &str = "models/nano/molmoact2/openfast";

/// Ours and theirs, from one file.
struct Pair {
    ours: Bpe,
    theirs: tokenizers::Tokenizer,
}

impl Pair {
    fn new(file: &[u8]) -> Self {
        Self {
            ours: Bpe::new(&Layout::read(file).unwrap()).unwrap(),
            theirs: tokenizers::Tokenizer::from_bytes(file).unwrap(),
        }
    }

    fn ours(&self, text: &str) -> Vec<u32> {
        let text: Vec<u32> = text.chars().map(u32::from).collect();
        let mut ids = Vec::new();
        self.ours.encode(&text, &mut Workspace::default(), &mut ids);
        ids
    }

    fn theirs(&self, text: &str) -> Vec<u32> {
        self.theirs
            .encode_fast(text, true)
            .unwrap()
            .get_ids()
            .to_vec()
    }
}

/// Every tokenizer file of the goldens, and the shipped one, whose runs have tokens of odd lengths.
fn goldens() -> Vec<(String, Pair)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut found = BTreeMap::new();
    let goldens = std::fs::read_dir(root.join("tests/goldens/openfast")).unwrap();
    let folders = goldens.map(|folder| folder.unwrap().path());
    for folder in folders.chain([root.join(SHIPPED)]) {
        for file in ["tokenizer.json", "bpe_tokenizer/tokenizer.json"] {
            if let Ok(json) = std::fs::read(folder.join(file)) {
                found.insert(folder.display().to_string(), Pair::new(&json));
            }
        }
    }
    assert!(found.len() >= 4, "{:?}", found.keys());
    found.into_iter().collect()
}

/// Pieces with runs of one character between them, short and long.
fn with_runs<P: AsRef<str> + std::fmt::Debug + Clone>(
    zero: char,
    pieces: impl Strategy<Value = P>,
) -> impl Strategy<Value = String> {
    let length = prop_oneof![0..24usize, 0..300usize];
    prop::collection::vec((length, pieces), 1..6).prop_map(move |parts| {
        let part = |(length, piece): &(usize, P)| zero.to_string().repeat(*length) + piece.as_ref();
        parts.iter().map(part).collect()
    })
}

/// A character of the kind that coefficients give: near the one that stands for zero, mostly it.
fn any_character(zero: u32, spread: u32) -> impl Strategy<Value = char> {
    let near = move |distance: u32| {
        (zero.saturating_sub(distance)..=zero + distance)
            .prop_map(|c| char::from_u32(c).unwrap_or('\u{FFFD}'))
    };
    prop_oneof![
        8 => near(0),
        6 => near(2),
        4 => near(8),
        2 => near(spread),
        1 => any::<char>(),
    ]
}

fn any_text() -> impl Strategy<Value = String> {
    let zeros = prop_oneof![
        Just(55u32),
        Just(40),
        Just(63),
        Just(219),
        Just(354),
        Just(705)
    ];
    (zeros, 0..200usize, 8..200u32).prop_flat_map(|(zero, length, spread)| {
        let characters = |length| {
            prop::collection::vec(any_character(zero, spread), 0..=length)
                .prop_map(|characters| characters.into_iter().collect::<String>())
        };
        let zero = char::from_u32(zero).unwrap_or('0');
        prop_oneof![3 => characters(length), 1 => with_runs(zero, characters(6))]
    })
}

#[test]
fn fitted_tables_are_tiled() {
    for (name, pair) in goldens() {
        assert!(pair.ours.tiling.is_some(), "{name}");
    }
}

#[test]
fn fitted_tokenizers_give_the_ids_of_the_library() {
    let goldens = goldens();
    let mut runner = TestRunner::deterministic();
    let texts = any_text();
    let mut compared = 0;
    for _ in 0..6_000 {
        let text = texts.new_tree(&mut runner).unwrap().current();
        for (name, pair) in &goldens {
            assert_eq!(pair.ours(&text), pair.theirs(&text), "{name}: {text:?}");
            compared += 1;
        }
    }
    // A run of one character is one word, tiled in one piece.
    for (name, pair) in &goldens {
        for zero in ['7', '(', '?', '\u{DB}', '\u{162}', 'a', ' ', '\t'] {
            for length in (0..70).chain([150, 300, 5_000]) {
                let text: String = std::iter::repeat_n(zero, length).collect();
                assert_eq!(
                    pair.ours(&text),
                    pair.theirs(&text),
                    "{name}: {length} x {zero}"
                );
            }
        }
    }
    println!("{compared} strings");
}

#[test]
fn runs_are_not_tried_token_by_token() {
    let goldens = goldens();
    let shipped = |(name, _): &&(String, Pair)| name.ends_with(SHIPPED);
    let (_, pair) = goldens.iter().find(shipped).unwrap();
    let tiling = pair.ours.tiling.as_ref().unwrap();
    for length in [100, 700, 4_000] {
        for word in ["5#", "+).", "'((*"].map(|end| format!("'{}{end}", "(".repeat(length))) {
            let mut path = super::tiling::Path::default();
            assert!(tiling.tile(word.as_bytes(), &mut path, &mut Vec::new()));
            assert!(path.vain() < 30, "{} in {word:?}", path.vain());
        }
    }
}

/// Parameters of a generated tokenizer.
#[derive(Debug, Clone)]
struct Made {
    /// Pairs to merge, as indices into what there is by then.
    picks: Vec<(prop::sample::Index, prop::sample::Index)>,
    symbols: Vec<&'static str>,
    /// True if the merges stay in the order in which they can be made.
    shuffled: Option<u64>,
    ignore_merges: bool,
    use_regex: bool,
    lines: bool,
}

impl Made {
    fn file(&self) -> Value {
        let mut tokens: Vec<String> = self.symbols.iter().map(|&s| s.to_owned()).collect();
        let mut merges: Vec<(String, String)> = Vec::new();
        for (left, right) in &self.picks {
            let (left, right) = (left.get(&tokens).clone(), right.get(&tokens).clone());
            let made = format!("{left}{right}");
            if made.chars().count() > 24 || merges.contains(&(left.clone(), right.clone())) {
                continue;
            }
            // Two merges may make the same token.
            if !tokens.contains(&made) {
                tokens.push(made);
            }
            merges.push((left, right));
        }
        if let Some(seed) = self.shuffled {
            let mut state = seed | 1;
            for at in (1..merges.len()).rev() {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                merges.swap(at, (state >> 33) as usize % (at + 1));
            }
        }
        let vocab: serde_json::Map<String, Value> = tokens
            .into_iter()
            .zip(0..)
            .map(|(token, id)| (token, json!(id)))
            .collect();
        let merges: Vec<Value> = merges
            .into_iter()
            .map(|(left, right)| {
                if self.lines {
                    json!(format!("{left} {right}"))
                } else {
                    json!([left, right])
                }
            })
            .collect();
        let level = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": self.use_regex});
        json!({
            "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
            "normalizer": null, "pre_tokenizer": level, "post_processor": null, "decoder": level,
            "model": {
                "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
                "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
                "ignore_merges": self.ignore_merges, "vocab": vocab, "merges": merges,
            },
        })
    }
}

fn any_made(shuffled: bool) -> impl Strategy<Value = Made> {
    // With symbols of one byte each, and with the two bytes of é and of ü (which share the first).
    let symbols = prop_oneof![
        Just(vec!["a"]),
        Just(vec!["a", "b"]),
        Just(vec!["a", "b", "c", "1", "Ġ"]),
        Just(vec!["Ã", "©", "¼", "a"]),
    ];
    let pick = (any::<prop::sample::Index>(), any::<prop::sample::Index>());
    let shuffled = if shuffled {
        any::<u64>().prop_map(Some).boxed()
    } else {
        Just(None).boxed()
    };
    (
        (prop::collection::vec(pick, 0..40), symbols, shuffled),
        (
            prop::bool::weighted(0.2),
            prop::bool::weighted(0.7),
            any::<bool>(),
        ),
    )
        .prop_map(
            |((picks, symbols, shuffled), (ignore_merges, use_regex, lines))| Made {
                picks,
                symbols,
                shuffled,
                ignore_merges,
                use_regex,
                lines,
            },
        )
}

/// Text of the made tokenizers' symbols, and of some that they have not.
fn any_made_text() -> impl Strategy<Value = String> {
    let character = prop_oneof![
        9 => prop::sample::select(vec!['a', 'b', 'é', 'ü', 'ã']),
        1 => prop::sample::select(vec!['c', '1', ' ', 'x', '©', '\u{161}']),
    ];
    prop_oneof![
        prop::collection::vec(character, 0..40).prop_map(|text| text.into_iter().collect()),
        (0..80usize).prop_map(|length| "a".repeat(length)),
        with_runs('a', prop::sample::select(vec!["", "b", "ba", "é", " "])),
        with_runs('é', prop::sample::select(vec!["", "ü", "aü", "é", "b"])),
    ]
}

/// Compares many made tokenizers on many strings; answers how many of them are tiled.
fn compare(made: &impl Strategy<Value = Made>, tokenizers: usize) -> usize {
    let mut runner = TestRunner::deterministic();
    let text = any_made_text();
    let mut tiled = 0;
    for _ in 0..tokenizers {
        let made = made.new_tree(&mut runner).unwrap().current();
        let pair = Pair::new(made.file().to_string().as_bytes());
        tiled += usize::from(pair.ours.tiling.is_some());
        for _ in 0..40 {
            let text = text.new_tree(&mut runner).unwrap().current();
            assert_eq!(pair.ours(&text), pair.theirs(&text), "{text:?} {made:?}");
        }
    }
    tiled
}

#[test]
fn made_tokenizers_give_the_ids_of_the_library() {
    let tiled = compare(&any_made(false), 4_000);
    println!("{tiled} tiled");
    assert!((1_000..3_900).contains(&tiled), "{tiled}");
}

#[test]
fn tables_in_any_order_give_the_ids_of_the_library() {
    let tiled = compare(&any_made(true), 4_000);
    println!("{tiled} tiled");
    assert!(tiled < 2_000, "{tiled}");
}

#[test]
fn added_tokens_are_taken_out_as_the_library_takes_them() {
    let made = Made {
        picks: Vec::new(),
        symbols: vec!["a", "b", "1", "Ġ"],
        shuffled: None,
        ignore_merges: false,
        use_regex: true,
        lines: false,
    };
    let mut file = made.file();
    let token = |id: u32, content: &str| {
        json!({"id": id, "content": content, "single_word": false, "lstrip": false,
            "rstrip": false, "normalized": false, "special": id.is_multiple_of(2)})
    };
    // The second is in the vocabulary, the third begins with the first.
    let added = json!([
        token(4, "ab"),
        token(1, "b"),
        token(5, "abb"),
        token(6, "é")
    ]);
    file.as_object_mut()
        .unwrap()
        .insert("added_tokens".to_owned(), added);
    let pair = Pair::new(file.to_string().as_bytes());
    for text in [
        "",
        "ab",
        "abb",
        "aabbb",
        "a  ab  b1",
        "éaéb",
        "1ab1",
        "ba  abb x",
    ] {
        assert_eq!(pair.ours(text), pair.theirs(text), "{text}");
    }
}
