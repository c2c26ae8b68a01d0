//! Any ids, any shape, every golden tokenizer: strict, partial, batched and compatible decoding, and
//! the grammar, must answer, and must answer the same.
#![no_main]

use arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use openfast::{DecodeError, FastTokenizer, Grammar, GrammarError, Shape};
use openfast_fuzz::{any_shape, any_tokenizer, complete};

fuzz_target!(|data: &[u8]| {
    // Out of bytes means too short an input, nothing else.
    let _ = run(&mut Unstructured::new(data));
});

fn run(u: &mut Unstructured<'_>) -> Result<()> {
    let (tokenizer, _) = any_tokenizer(u)?;
    let shape = any_shape(u)?;
    let size = tokenizer.vocab_size() as u32;
    let count = u.int_in_range(0..=400usize)?;
    let mut ids = Vec::with_capacity(count);
    for _ in 0..count {
        ids.push(match u.arbitrary::<u16>()? {
            0xFFFF => u.arbitrary()?,
            // A few just beyond the vocabulary.
            other => u32::from(other) % (size + 3),
        });
    }
    decoders(tokenizer, &ids, shape);
    grammar(tokenizer, &ids, shape, u);
    Ok(())
}

fn decoders(tokenizer: &FastTokenizer, ids: &[u32], shape: Shape) {
    let strict = tokenizer.decode(ids, shape);
    let partial = tokenizer.decode_partial(ids, shape);
    let Some(want) = shape.values() else {
        let bad = DecodeError::BadShape(shape);
        assert_eq!(strict.unwrap_err(), bad);
        assert_eq!(partial.unwrap_err(), bad);
        assert_eq!(tokenizer.decode_as_reference(ids, shape).unwrap_err(), bad);
        return;
    };
    let compatible = tokenizer.decode_as_reference(ids, shape).unwrap();
    assert_eq!(compatible.fault.as_ref(), strict.as_ref().err());
    assert_eq!(compatible.chunk.len(), want);
    if compatible.zeros {
        assert!(strict.is_err());
        assert!(compatible.chunk.iter().all(|&value| value == 0.0));
    }
    if let Ok(chunk) = &strict {
        assert_eq!(chunk, &compatible.chunk);
        let partial = partial.as_ref().unwrap();
        assert_eq!((partial.known, &partial.chunk), (want, chunk));
        let batch = tokenizer.decode_batch(&[ids.to_vec(), ids.to_vec()], shape);
        assert_eq!(
            batch.unwrap(),
            [chunk.as_slice(), chunk.as_slice()].concat()
        );
    }
    if let Ok(partial) = &partial {
        assert_eq!(partial.chunk.len(), want);
        assert!(partial.known <= want);
    }
    // Where every id is whole characters, the coefficients are theirs, one after the other.
    let apart: Option<Vec<Vec<i32>>> = ids
        .iter()
        .map(|&id| tokenizer.token_coefficients(id))
        .collect();
    if let Some(apart) = apart {
        match tokenizer.coefficients(ids, shape) {
            Ok(together) => assert_eq!(together, apart.concat()),
            Err(DecodeError::WrongCount { got, .. }) => assert_eq!(got, apart.concat().len()),
            Err(other) => panic!("{other}"),
        }
    }
}

fn grammar(tokenizer: &FastTokenizer, ids: &[u32], shape: Shape, u: &mut Unstructured<'_>) {
    // The table of a very large chunk costs time and shows nothing new.
    if shape.values().is_some_and(|values| values > 4096) {
        return;
    }
    let mut grammar = match Grammar::new(tokenizer, shape) {
        Ok(grammar) => grammar,
        Err(error) => {
            assert_eq!(error, GrammarError::BadShape(shape));
            return;
        }
    };
    let mut stream = Vec::new();
    for &id in ids {
        let allowed = grammar.allowed(id);
        assert_eq!(grammar.push(id).is_ok(), allowed);
        if !allowed {
            continue;
        }
        stream.push(id);
        // Reading the whole stream after every id would take most of the time.
        if grammar.is_complete() || stream.len() % 32 == 1 {
            let whole = tokenizer.coefficients(&stream, shape).is_ok();
            assert_eq!(whole, grammar.is_complete());
        }
    }
    let mut logits = vec![0.0; tokenizer.vocab_size() + 5];
    grammar.mask_logits(&mut logits);
    let mask = grammar.mask();
    for (id, &logit) in (0..).zip(&logits) {
        let ok = mask.get(id as usize).copied().unwrap_or_default();
        assert_eq!(ok, grammar.allowed(id));
        assert_eq!(ok, logit == 0.0);
    }
    complete(&mut grammar, &mut stream, u);
    assert!(!grammar.mask().contains(&true));
    tokenizer.decode(&stream, shape).unwrap();
}
