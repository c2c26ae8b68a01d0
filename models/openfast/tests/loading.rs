//! Vocabularies made by hand, and files that must be refused.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use openfast::{DecodeError, FastTokenizer, Grammar, GrammarError, LoadError, Shape};
use serde_json::{Value, json};

const CONFIG: &[u8] = br#"{"scale": 10, "min_token": -48}"#;

/// A tokenizer file with these tokens, in the layout that the reference saves.
fn file(tokens: &[&str], merges: &[[&str; 2]]) -> Value {
    let vocab: serde_json::Map<String, Value> = tokens
        .iter()
        .zip(0..)
        .map(|(token, id)| ((*token).to_owned(), json!(id)))
        .collect();
    let level = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true});
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
        "normalizer": null, "pre_tokenizer": level, "post_processor": null, "decoder": level,
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
            "ignore_merges": false, "vocab": vocab, "merges": merges,
        },
    })
}

fn load(file: &Value, config: &[u8]) -> Result<FastTokenizer, LoadError> {
    FastTokenizer::from_bytes(file.to_string().as_bytes(), config)
}

fn row(dims: usize) -> Shape {
    Shape { horizon: 1, dims }
}

#[test]
fn the_grammar_sees_dead_ends_ahead() {
    // Once the raw single symbols are unusable, only lengths 2 and 3 are left: id 0 is raw.
    let tokens = ["\u{1}", "77", "777"];
    // No merges lead there, which a tokenizer file allows.
    let tokenizer = load(&file(&tokens, &[]), CONFIG).unwrap();
    assert_eq!(tokenizer.token_len(0), None);
    assert_eq!(tokenizer.token_len(1), Some(2));
    assert_eq!(tokenizer.token_len(2), Some(3));
    assert_eq!(tokenizer.token_len(3), None);
    // One coefficient cannot be written.
    assert_eq!(
        Grammar::new(&tokenizer, row(1)).unwrap_err(),
        GrammarError::NoStream { want: 1 }
    );
    // Of four, a token of three would leave one.
    let mut grammar = Grammar::new(&tokenizer, row(4)).unwrap();
    assert_eq!(grammar.mask(), [false, true, false]);
    assert_eq!(
        grammar.push(2).unwrap_err(),
        GrammarError::NotAllowed {
            id: 2,
            remaining: 4
        }
    );
    grammar.push(1).unwrap();
    grammar.push(1).unwrap();
    assert!(grammar.is_complete());
    assert_eq!(grammar.mask(), [false; 3]);
    assert_eq!(tokenizer.coefficients(&[1, 1], row(4)).unwrap(), [7; 4]);
}

#[test]
fn the_grammar_never_opens_a_character_it_cannot_close() {
    // U+00C3 and U+00E2 lead two- and three-byte characters; only the first can be closed by
    // U+00A9 (byte A9), and nothing closes a two-byte rest but two of those.
    let tokenizer = load(&file(&["Ã", "â", "©", "7"], &[]), CONFIG).unwrap();
    let mut grammar = Grammar::new(&tokenizer, row(1)).unwrap();
    assert_eq!(grammar.mask(), [true, true, false, true]);
    grammar.push(0).unwrap();
    assert_eq!(grammar.remaining(), 0);
    assert!(!grammar.is_complete());
    assert_eq!(grammar.mask(), [false, false, true, false]);
    grammar.push(2).unwrap();
    assert!(grammar.is_complete());
    assert_eq!(
        tokenizer.coefficients(&[0, 2], row(1)).unwrap(),
        [0xE9 - 48]
    );

    let without = load(&file(&["Ã", "â", "7"], &[]), CONFIG).unwrap();
    assert_eq!(
        Grammar::new(&without, row(1)).unwrap().mask(),
        [false, false, true]
    );
}

#[test]
fn strict_decoding_says_what_is_wrong() {
    let tokenizer = load(&file(&["\u{1}", "7", "Ã", "©"], &[]), CONFIG).unwrap();
    let decode = |ids: &[u32]| tokenizer.decode(ids, row(2)).unwrap_err();
    assert_eq!(
        decode(&[1, 9]),
        DecodeError::UnknownId {
            position: 1,
            id: 9,
            vocabulary: 4
        }
    );
    assert_eq!(
        decode(&[0, 1]),
        DecodeError::UnreachableId { position: 0, id: 0 }
    );
    assert_eq!(
        decode(&[2, 1]),
        DecodeError::BrokenCharacter { position: 1, id: 1 }
    );
    assert_eq!(
        decode(&[3]),
        DecodeError::BrokenCharacter { position: 0, id: 3 }
    );
    assert_eq!(decode(&[1, 2]), DecodeError::UnfinishedCharacter);
    let shape = row(2);
    assert_eq!(
        decode(&[1]),
        DecodeError::WrongCount {
            got: 1,
            want: 2,
            shape
        }
    );
    assert_eq!(
        decode(&[1; 5]),
        DecodeError::WrongCount {
            got: 5,
            want: 2,
            shape
        }
    );
    assert_eq!(
        decode(&[]),
        DecodeError::WrongCount {
            got: 0,
            want: 2,
            shape
        }
    );
    assert_eq!(
        decode(&[1; 5]).to_string(),
        "the stream stands for 5 coefficients, a chunk of shape 1x2 has 2"
    );
    // The compatible decoder skips, substitutes and falls back.
    let reference = tokenizer.decode_as_reference(&[1; 5], shape).unwrap();
    assert!(reference.zeros && reference.chunk == [0.0, 0.0]);
    let skipped = tokenizer.decode_as_reference(&[1, 9, 0], shape).unwrap();
    assert!(!skipped.zeros && skipped.chunk == [0.7, -4.7]);
}

#[test]
fn actions_beyond_float32_are_an_error_and_not_infinities() {
    // The largest coefficients that a stream can stand for, with the smallest scale.
    let four_bytes = file(&["ô", "ı", "¿"], &[]);
    let config = br#"{"scale": 1.01e-30, "min_token": 1114111}"#;
    let tokenizer = load(&four_bytes, config).unwrap();
    let shape = Shape {
        horizon: Shape::MAX_HORIZON,
        dims: 1,
    };
    let largest = [0, 1, 2, 2].repeat(shape.horizon);
    let coefficients = tokenizer.coefficients(&largest, shape).unwrap();
    assert_eq!(coefficients, vec![2 * 1_114_111; shape.horizon]);
    let chunk = tokenizer.decode(&largest, shape).unwrap();
    assert!(chunk.iter().all(|value| value.is_finite()));
    assert!(chunk.iter().any(|value| *value > 1e37), "{:?}", &chunk[..3]);

    // Larger ones can only be given directly.
    let shape = row(2);
    let error = tokenizer.inverse_dct(&[0, i32::MIN], shape).unwrap_err();
    assert_eq!(
        error,
        DecodeError::OutOfRange {
            frequency: 0,
            dim: 1,
            coefficient: i32::MIN
        }
    );
    assert!(error.to_string().contains("out of range"), "{error}");
}

#[test]
fn files_of_another_kind_are_refused() {
    let good = file(&["7"], &[]);
    assert!(load(&good, CONFIG).is_ok());
    for (pointer, value, part) in [
        ("/normalizer", json!({"type": "NFC"}), "normalizer"),
        ("/pre_tokenizer", json!(null), "pre_tokenizer"),
        ("/pre_tokenizer/type", json!("Whitespace"), "pre_tokenizer"),
        (
            "/pre_tokenizer/add_prefix_space",
            json!(true),
            "pre_tokenizer.add_prefix_space",
        ),
        ("/decoder/type", json!("WordPiece"), "decoder"),
        ("/model/type", json!("Unigram"), "model"),
        ("/model/dropout", json!(0.5), "model.dropout"),
        ("/model/vocab/8", json!(0), "vocabulary"),
        ("/model/vocab/8", json!(4_000_000_000u32), "vocabulary"),
        // Found by fuzzing: tables were made for this many ids before they were refused.
        ("/model/vocab/8", json!(u32::MAX), "vocabulary"),
    ] {
        let mut bad = good.clone();
        match bad.pointer_mut(pointer) {
            Some(place) => *place = value,
            None => {
                bad["model"]["vocab"]["8"] = value;
            }
        }
        match load(&bad, CONFIG) {
            Err(LoadError::NotFast { part: got, .. }) => assert_eq!(got, part, "{pointer}"),
            other => panic!("{pointer}: {other:?}"),
        }
    }
    assert!(matches!(
        FastTokenizer::from_bytes(b"{}", CONFIG),
        Err(LoadError::Tokenizer(_))
    ));
}

#[test]
fn a_configuration_must_say_scale_and_min_token() {
    let good = file(&["7"], &[]);
    for config in [
        "",
        "{}",
        r#"{"scale": 10}"#,
        r#"{"min_token": 0}"#,
        r#"{"scale": 1, "min_token": 0.5}"#,
    ] {
        assert!(
            matches!(load(&good, config.as_bytes()), Err(LoadError::Config(_))),
            "{config}"
        );
    }
    for (scale, min_token) in [
        ("0", "0"),
        ("-1", "0"),
        ("1e300", "0"),
        ("1e-300", "0"),
        ("1", "-2000000000"),
    ] {
        let config = format!(r#"{{"scale": {scale}, "min_token": {min_token}}}"#);
        assert!(
            matches!(
                load(&good, config.as_bytes()),
                Err(LoadError::BadConfig { .. })
            ),
            "{config}"
        );
    }
    let missing = FastTokenizer::from_dir("no/such/folder".as_ref()).unwrap_err();
    assert!(missing.to_string().contains("tokenizer.json"), "{missing}");
}

#[test]
fn a_declared_shape_is_read() {
    let good = file(&["7"], &[]);
    let config = br#"{"scale": 10, "min_token": -48, "time_horizon": 16, "action_dim": 6, "vocab_size": 384}"#;
    let tokenizer = load(&good, config).unwrap();
    assert_eq!(
        tokenizer.config().shape(),
        Some(Shape {
            horizon: 16,
            dims: 6
        })
    );
    assert_eq!(load(&good, CONFIG).unwrap().config().shape(), None);
}

#[test]
fn of_two_equally_near_coefficients_the_smaller_one_is_taken() {
    // Characters '5' and '9' are there, '6' to '8' are holes.
    let one = Shape {
        horizon: 1,
        dims: 1,
    };
    let tokens = file(&["5", "9"], &[]);
    for (min_token, chunk, want) in [
        (-48, 0.7, 5),
        (-48, 0.8, 9),
        (-48, 3.0, 9),
        (-64, -0.9, -7),
        (-64, -1.0, -11),
    ] {
        let config = format!(r#"{{"scale": 10, "min_token": {min_token}}}"#);
        let tokenizer = load(&tokens, config.as_bytes()).unwrap();
        let encoded = tokenizer.encode_nearest(&[chunk], one).unwrap();
        assert_eq!(
            tokenizer.coefficients(&encoded.ids, one).unwrap(),
            [want],
            "{chunk}"
        );
        assert_eq!(encoded.lost.len(), 1);
        assert_eq!(
            encoded
                .lost_norm(10.0)
                .map(|norm| (norm * 10.0).round() as i32),
            Some((want - (chunk * 10.0).round() as i32).abs())
        );
    }
}

#[test]
fn added_tokens_are_no_coefficients() {
    let mut with = file(&["7", "8"], &[]);
    with["added_tokens"] = json!([{
        "id": 1, "content": "8", "single_word": false, "lstrip": false, "rstrip": false,
        "normalized": false, "special": true,
    }]);
    let tokenizer = load(&with, CONFIG).unwrap();
    assert_eq!(tokenizer.token_len(0), Some(1));
    assert_eq!(tokenizer.token_len(1), None);
    assert!(!tokenizer.can_express(8));
}
