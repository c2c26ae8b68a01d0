//! Any floats in any shape: encoding must answer, keep its promises about what it lost, stay within
//! half a quantisation step, and write the ids that the `tokenizers` library writes for that text.
#![no_main]

use arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use openfast::{FastTokenizer, Shape};
use openfast_fuzz::{any_shape, any_tokenizer};

fuzz_target!(|data: &[u8]| {
    let _ = run(&mut Unstructured::new(data));
});

fn run(u: &mut Unstructured<'_>) -> Result<()> {
    let (tokenizer, library) = any_tokenizer(u)?;
    let (shape, chunk) = match u.int_in_range(0..=2)? {
        0 => coefficients(tokenizer, u)?,
        1 => actions(u)?,
        _ => bits(u)?,
    };
    let encoded = tokenizer.encode(&chunk, shape);
    let nearest = tokenizer.encode_nearest(&chunk, shape);
    let Ok(quantized) = tokenizer.quantize(&chunk, shape) else {
        // In words: a NaN that is reported is not equal to itself.
        assert_eq!(
            encoded.unwrap_err().to_string(),
            nearest.unwrap_err().to_string()
        );
        return Ok(());
    };
    let nearest = nearest.unwrap();
    assert!(nearest.decodes());
    let back = tokenizer.coefficients(&nearest.ids, shape).unwrap();
    for (index, (&got, &want)) in back.iter().zip(&quantized).enumerate() {
        let lost = nearest
            .lost
            .iter()
            .find(|lost| lost.frequency * shape.dims + lost.dim == index);
        assert_eq!(lost.is_none(), f64::from(got) == f64::from(want));
        assert!(lost.is_none_or(|lost| lost.kept == Some(got)));
    }
    assert_eq!(
        library_ids(library, &text_of(tokenizer, &back)),
        nearest.ids
    );

    let text: Option<String> = quantized
        .iter()
        .map(|&q| char::from_u32((q - tokenizer.config().min_token as f32).max(0.0) as u32))
        .collect();
    let Some(text) = text else {
        encoded.unwrap_err();
        return Ok(());
    };
    let encoded = encoded.unwrap();
    assert_eq!(library_ids(library, &text), encoded.ids, "{text:?}");
    assert_eq!(
        encoded.decodes(),
        tokenizer.decode(&encoded.ids, shape).is_ok()
    );
    if encoded.lost.is_empty() {
        assert_eq!(encoded, nearest);
        bounded(tokenizer, &chunk, shape, &back);
    }
    let batch = tokenizer
        .encode_batch(&[chunk.clone(), chunk].concat(), shape)
        .unwrap();
    assert_eq!(batch, [encoded.clone(), encoded]);
    Ok(())
}

/// Any whole numbers as coefficients: one step long, the transform is the identity.
fn coefficients(tokenizer: &FastTokenizer, u: &mut Unstructured<'_>) -> Result<(Shape, Vec<f32>)> {
    let count = u.int_in_range(1..=256usize)?;
    let scale = tokenizer.config().scale as f32;
    let min_token = tokenizer.config().min_token as f32;
    let chunk = (0..count)
        .map(|_| {
            let character = match u.arbitrary::<u8>()? {
                // Runs of zero, as in real chunks.
                0..=99 => -min_token,
                100..=199 => f32::from(u.arbitrary::<u8>()?),
                200..=249 => f32::from(u.arbitrary::<u16>()?),
                _ => u.arbitrary::<u32>()? as f32,
            };
            Ok((character + min_token) / scale)
        })
        .collect::<Result<_>>()?;
    Ok((
        Shape {
            horizon: 1,
            dims: count,
        },
        chunk,
    ))
}

/// Normalised actions in steps of 1/127.
fn actions(u: &mut Unstructured<'_>) -> Result<(Shape, Vec<f32>)> {
    let shape = Shape {
        horizon: u.int_in_range(1..=50)?,
        dims: u.int_in_range(1..=16)?,
    };
    let chunk = (0..shape.horizon * shape.dims)
        .map(|_| f32::from(u.arbitrary::<i8>().unwrap_or_default()) / 127.0)
        .collect();
    Ok((shape, chunk))
}

/// Any bits, and sometimes the wrong number of them.
fn bits(u: &mut Unstructured<'_>) -> Result<(Shape, Vec<f32>)> {
    let shape = any_shape(u)?;
    let count = shape.values().unwrap_or(7).min(2048);
    let count = if u.ratio(1u8, 32u8)? {
        count + 1
    } else {
        count
    };
    let chunk = (0..count)
        .map(|_| f32::from_bits(u.arbitrary().unwrap_or_default()))
        .collect();
    Ok((shape, chunk))
}

/// The text that stands for these coefficients.
fn text_of(tokenizer: &FastTokenizer, coefficients: &[i32]) -> String {
    let min_token = tokenizer.config().min_token;
    coefficients
        .iter()
        .map(|&c| char::from_u32((c - min_token) as u32).expect("it was decoded from a character"))
        .collect()
}

fn library_ids(library: &tokenizers::Tokenizer, text: &str) -> Vec<u32> {
    library
        .encode_fast(text, true)
        .expect("the library encodes any text")
        .get_ids()
        .to_vec()
}

/// Every coefficient within half a step of the exact transform, but for float32's error.
fn bounded(tokenizer: &FastTokenizer, chunk: &[f32], shape: Shape, coefficients: &[i32]) {
    let Shape { horizon, dims } = shape;
    let scale = tokenizer.config().scale;
    // Exact transforms are slow: a few coefficients of each chunk will do.
    for index in (0..coefficients.len()).step_by(coefficients.len() / 8 + 1) {
        let (k, d) = (index / dims, index % dims);
        let weight = (if k == 0 { 1.0 } else { 2.0 } / horizon as f64).sqrt();
        let (mut sum, mut magnitude) = (0.0, 0.0);
        for t in 0..horizon {
            let angle = std::f64::consts::PI * ((2 * t + 1) * k) as f64 / (2 * horizon) as f64;
            let value = f64::from(chunk[t * dims + d]);
            sum += value * angle.cos();
            magnitude += value.abs();
        }
        let error = (sum * weight * scale - f64::from(coefficients[index])).abs();
        let float32 = magnitude * weight * scale * 8.0 * f64::from(f32::EPSILON);
        assert!(error <= 0.5 + float32, "{error} at {index} of {shape}");
    }
}
