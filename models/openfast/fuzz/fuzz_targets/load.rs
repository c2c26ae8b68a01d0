//! Any bytes as `tokenizer.json` and `processor_config.json`, a zero byte between them: loading must
//! answer, and what loads must encode, decode and guide generation without a panic.
#![no_main]

use arbitrary::Unstructured;
use libfuzzer_sys::fuzz_target;
use openfast::{FastTokenizer, Grammar, Shape};
use openfast_fuzz::complete;

fuzz_target!(|data: &[u8]| {
    let mut parts = data.splitn(2, |&byte| byte == 0);
    let (Some(file), Some(config)) = (parts.next(), parts.next()) else {
        return;
    };
    let Ok(tokenizer) = FastTokenizer::from_bytes(file, config) else {
        return;
    };
    // Ids may be as large as the loader lets them; asking for each would only be slow.
    let size = tokenizer.vocab_size().min(512) as u32;
    for id in 0..size {
        let length = tokenizer.token_len(id);
        if let Some(coefficients) = tokenizer.token_coefficients(id) {
            assert_eq!(length, Some(coefficients.len()));
        }
    }
    assert!(tokenizer.reachable_ids() <= tokenizer.vocab_size());
    if let Some((low, high)) = tokenizer.expressible_range() {
        assert!(tokenizer.can_express(low) && tokenizer.can_express(high));
        let holes = tokenizer.holes();
        assert!(holes.iter().all(|&hole| low < hole && hole < high));
    }
    for shape in [(1, 1), (2, 3), (5, 4)].map(|(horizon, dims)| Shape { horizon, dims }) {
        let values = shape.horizon * shape.dims;
        for amplitude in [0.0, 0.3, -40.0, 1e6, f32::MAX] {
            let chunk: Vec<f32> = (0..values)
                .map(|index| amplitude * (index as f32 * 0.7).cos())
                .collect();
            if let Ok(encoded) = tokenizer.encode(&chunk, shape) {
                assert_eq!(
                    encoded.decodes(),
                    tokenizer.decode(&encoded.ids, shape).is_ok()
                );
            }
            if let Ok(encoded) = tokenizer.encode_nearest(&chunk, shape) {
                tokenizer.decode(&encoded.ids, shape).unwrap();
            }
        }
        let some: Vec<u32> = (0..size.min(64)).collect();
        let compatible = tokenizer.decode_as_reference(&some, shape).unwrap();
        assert_eq!(compatible.fault, tokenizer.decode(&some, shape).err());
        if let Ok(mut grammar) = Grammar::new(&tokenizer, shape) {
            let mut stream = Vec::new();
            complete(&mut grammar, &mut stream, &mut Unstructured::new(config));
            tokenizer.decode(&stream, shape).unwrap();
        }
    }
});
