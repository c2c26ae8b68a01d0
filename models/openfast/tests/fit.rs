//! `fit` held against the reference's: `tests/goldens/openfast/fit/generate.py`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::collections::BTreeMap;
use std::sync::Mutex;

use common::{goldens, sweep_chunk};
use openfast::{
    Alphabet, Chunk, EncodeError, FastTokenizer, FitError, FitOptions, Fitted, LostCoefficient,
    Phase, Shape, fit,
};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
struct Case {
    horizon: usize,
    dims: usize,
    first: u64,
    chunks: u64,
    gain: f32,
    scale: f64,
    vocab_size: u32,
    declare: bool,
    min_token: i32,
    ids: usize,
    merges: usize,
    first_merges: Vec<[String; 2]>,
    last_merges: Vec<[String; 2]>,
    /// Length and FNV-1a hash of each file.
    files: BTreeMap<String, (usize, u32)>,
}

impl Case {
    fn shape(&self) -> Shape {
        Shape {
            horizon: self.horizon,
            dims: self.dims,
        }
    }

    fn options(&self, alphabet: Alphabet) -> FitOptions {
        FitOptions {
            scale: self.scale,
            vocab_size: self.vocab_size,
            declared: self.declare.then(|| self.shape()),
            alphabet,
        }
    }

    fn chunk(&self, index: u64) -> Vec<f32> {
        let chunk = sweep_chunk(self.first + index, self.shape());
        chunk.into_iter().map(|value| value * self.gain).collect()
    }

    fn fit(&self, alphabet: Alphabet) -> Fitted {
        let chunks: Vec<Vec<f32>> = (0..self.chunks).map(|index| self.chunk(index)).collect();
        let chunks = of_shape(&chunks, self.shape());
        fit(&chunks, &self.options(alphabet), &|_| ()).unwrap()
    }
}

fn of_shape(chunks: &[Vec<f32>], shape: Shape) -> Vec<Chunk<'_>> {
    chunks
        .iter()
        .map(|values| Chunk { values, shape })
        .collect()
}

fn cases() -> Vec<Case> {
    serde_json::from_slice(&std::fs::read(goldens().join("fit/cases.json")).unwrap()).unwrap()
}

fn hash(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811C_9DC5, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}

fn file<'a>(fitted: &'a Fitted, name: &str) -> &'a str {
    let found = fitted.files().iter().find(|(file, _)| *file == name);
    &found.unwrap().1
}

#[test]
fn writes_the_files_of_the_reference_byte_for_byte() {
    let cases = cases();
    assert!(cases.len() >= 12);
    for case in &cases {
        let fitted = case.fit(Alphabet::AsReference);
        let tokenizer = file(&fitted, "tokenizer.json");
        let model: serde_json::Value = serde_json::from_str(tokenizer).unwrap();
        let model = &model["model"];
        let merges: Vec<[String; 2]> = serde_json::from_value(model["merges"].clone()).unwrap();
        assert_eq!(fitted.tokenizer().config().min_token, case.min_token);
        assert_eq!(fitted.tokenizer().vocab_size(), case.ids, "{case:?}");
        assert!(merges.starts_with(&case.first_merges), "{case:?}");
        assert!(merges.ends_with(&case.last_merges), "{case:?}");
        assert_eq!(merges.len(), case.merges);
        assert_eq!(case.files.len(), 3);
        for (name, (length, want)) in &case.files {
            let content = file(&fitted, name);
            assert_eq!(
                (content.len(), hash(content.as_bytes())),
                (*length, *want),
                "{name} of {case:?}"
            );
        }
    }
    let merges: usize = cases.iter().map(|case| case.merges).sum();
    println!("{} fits, {merges} merges, all files equal", cases.len());
}

#[test]
fn what_was_saved_loads_and_encodes_alike() {
    let case = &cases()[0];
    let fitted = case.fit(Alphabet::AsReference);
    let folder = std::env::temp_dir().join(format!("openfast-fit-{}", std::process::id()));
    fitted.save(&folder).unwrap();
    let loaded = FastTokenizer::from_dir(&folder).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(loaded.config().shape(), Some(case.shape()));
    for index in 0..20 {
        let chunk = case.chunk(index);
        let encoded = loaded.encode(&chunk, case.shape()).unwrap();
        // It was in the data, so nothing can be missing.
        assert!(encoded.lost.is_empty());
        assert_eq!(
            encoded,
            fitted.tokenizer().encode(&chunk, case.shape()).unwrap()
        );
    }
}

/// Purpose of the complete alphabet: unseen chunks lose nothing inside the range, and no id is wasted.
#[test]
fn a_complete_alphabet_has_no_holes_and_wastes_no_id() {
    let mut lossless = [0, 0];
    let mut tokens = [0, 0];
    let mut unseen = 0;
    for case in cases().iter().filter(|case| case.merges > 0) {
        let fits = [Alphabet::AsReference, Alphabet::Complete].map(|alphabet| case.fit(alphabet));
        let complete = fits[1].tokenizer();
        let (low, high) = complete.expressible_range().unwrap();
        assert_eq!(low, case.min_token);
        assert!(complete.holes().is_empty());
        assert!((low..=high).all(|coefficient| complete.can_express(coefficient)));
        assert_eq!(complete.reachable_ids(), complete.vocab_size());
        for index in 0..100 {
            let chunk = case.chunk(case.chunks + index);
            unseen += 1;
            for ((fitted, lossless), tokens) in fits.iter().zip(&mut lossless).zip(&mut tokens) {
                let encoded = fitted.tokenizer().encode(&chunk, case.shape()).unwrap();
                *lossless += usize::from(encoded.lost.is_empty());
                let complete = std::ptr::eq(fitted, &fits[1]);
                let inside = |lost: &LostCoefficient| (low..=high).contains(&lost.wanted);
                assert!(!complete || !encoded.lost.iter().any(inside));
                *tokens += encoded.ids.len();
            }
        }
    }
    println!(
        "{unseen} unseen chunks; without loss as reference, complete: {lossless:?}; tokens {tokens:?}"
    );
    assert!(lossless[1] > lossless[0]);
}

#[test]
fn says_where_it_stands() {
    let case = &cases()[0];
    let chunks: Vec<Vec<f32>> = (0..50).map(|index| case.chunk(index)).collect();
    let seen = Mutex::new(Vec::new());
    fit(
        &of_shape(&chunks, case.shape()),
        &case.options(Alphabet::AsReference),
        &|progress| seen.lock().unwrap().push(progress),
    )
    .unwrap();
    let seen = seen.into_inner().unwrap();
    for phase in [Phase::Transform, Phase::Words] {
        let steps: Vec<usize> = seen
            .iter()
            .filter(|progress| progress.phase == phase)
            .map(|progress| progress.done)
            .collect();
        assert_eq!(steps, (0..50).collect::<Vec<_>>(), "{phase:?}");
    }
    assert_eq!(seen.last().unwrap().phase, Phase::Merges);
}

#[test]
fn refuses_what_cannot_be_fitted_in_words() {
    let shape = Shape {
        horizon: 4,
        dims: 2,
    };
    let usual = FitOptions::default();
    let refuse = |chunks: &[Chunk<'_>], options: &FitOptions| {
        let error = fit(chunks, options, &|_| ()).unwrap_err();
        assert!(!error.to_string().is_empty());
        error
    };
    let zeros = [0.0; 8];
    let good = Chunk {
        values: &zeros,
        shape,
    };

    assert!(matches!(refuse(&[], &usual), FitError::NoChunks));
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut values = zeros;
        values[5] = bad;
        let error = refuse(
            &[
                good,
                Chunk {
                    values: &values,
                    shape,
                },
            ],
            &usual,
        );
        let FitError::Chunk { index: 1, source } = error else {
            panic!("{error}")
        };
        assert!(matches!(
            source,
            EncodeError::NotFinite {
                step: 2,
                dim: 1,
                ..
            }
        ));
    }
    let short = Chunk {
        values: &zeros[..7],
        shape,
    };
    assert!(matches!(
        refuse(&[short], &usual),
        FitError::Chunk {
            index: 0,
            source: EncodeError::WrongLength {
                got: 7,
                want: 8,
                ..
            }
        }
    ));
    let nothing = Chunk {
        values: &[],
        shape: Shape {
            horizon: 0,
            dims: 2,
        },
    };
    assert!(matches!(
        refuse(&[nothing], &usual),
        FitError::Chunk {
            source: EncodeError::BadShape(_),
            ..
        }
    ));
    let wide = Chunk {
        values: &zeros,
        shape: Shape {
            horizon: 2,
            dims: 4,
        },
    };
    assert!(matches!(
        refuse(&[good, wide], &usual),
        FitError::MixedDims {
            index: 1,
            got: 4,
            first: 2
        }
    ));
    let declared = FitOptions {
        declared: Some(Shape {
            horizon: 8,
            dims: 2,
        }),
        ..usual.clone()
    };
    assert!(matches!(
        refuse(&[good], &declared),
        FitError::NotAsDeclared { index: 0, .. }
    ));
    for scale in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e-60] {
        let options = FitOptions {
            scale,
            ..usual.clone()
        };
        assert!(matches!(refuse(&[good], &options), FitError::BadScale(_)));
    }
    for vocab_size in [0, u32::MAX] {
        let options = FitOptions {
            vocab_size,
            ..usual.clone()
        };
        assert!(matches!(
            refuse(&[good], &options),
            FitError::BadVocabSize(_)
        ));
    }
    // Robot units instead of normalised ones: the range is named, and what to do.
    let degrees = [-90.0, 0.0, 90.0, 0.0, 30.0, 0.0, 60.0, 0.0];
    let degrees = Chunk {
        values: &degrees,
        shape,
    };
    let error = refuse(&[degrees], &usual);
    let FitError::RangeTooWide {
        lowest, highest, ..
    } = error
    else {
        panic!("{error}")
    };
    let words = error.to_string();
    assert!(
        words.contains(&format!("from {lowest} to {highest}")),
        "{words}"
    );
    assert!(words.contains("normalised"), "{words}");
    let huge = [1e30, -1e30, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
    let huge = Chunk {
        values: &huge,
        shape,
    };
    assert!(matches!(
        refuse(&[huge], &usual),
        FitError::NoCharacters { .. }
    ));
    let tiny = FitOptions {
        vocab_size: 20,
        alphabet: Alphabet::Complete,
        ..usual
    };
    let spread = [-1.0, 0.0, 1.0, 0.0, 0.5, 0.0, -0.5, 1.0];
    let spread = Chunk {
        values: &spread,
        shape,
    };
    assert!(matches!(
        refuse(&[spread], &tiny),
        FitError::AlphabetTooLarge { vocab_size: 20, .. }
    ));
}
