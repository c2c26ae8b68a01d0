//! Answers `tests/goldens/openfast/differential.py` over a pipe: encodes chunks, decodes streams.
//!
//! Usage: `answer TOKENIZER_FOLDER`. All numbers are little-endian and 32 bits wide. A request is
//! `horizon, dims, count`, then `count` chunks of float32, then `count` streams, each its length and
//! its ids. The answer is, per chunk, the number of ids, the ids and how many coefficients were lost
//! (no ids and `u32::MAX` where encoding refuses); then, per stream, 1 and the decoded chunk, or 0.

use std::io::{ErrorKind, Read, Write};

use openfast::{FastTokenizer, Shape};

fn number(input: &mut impl Read) -> std::io::Result<u32> {
    let mut bytes = [0; 4];
    input.read_exact(&mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}

fn numbers(input: &mut impl Read, count: usize) -> std::io::Result<Vec<u32>> {
    (0..count).map(|_| number(input)).collect()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).ok_or("usage: answer FOLDER")?;
    let tokenizer = FastTokenizer::from_dir(folder.as_ref())?;
    let mut input = std::io::stdin().lock();
    let mut output = std::io::stdout().lock();
    loop {
        let horizon = match number(&mut input) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(()),
            horizon => horizon? as usize,
        };
        let dims = number(&mut input)? as usize;
        let count = number(&mut input)? as usize;
        let shape = Shape { horizon, dims };
        let mut answer: Vec<u32> = Vec::new();
        for _ in 0..count {
            let bits = numbers(&mut input, horizon * dims)?;
            let chunk: Vec<f32> = bits.into_iter().map(f32::from_bits).collect();
            match tokenizer.encode(&chunk, shape) {
                Ok(encoded) => {
                    answer.push(encoded.ids.len() as u32);
                    answer.extend(&encoded.ids);
                    answer.push(encoded.lost.len() as u32);
                }
                Err(_) => answer.extend([0, u32::MAX]),
            }
        }
        for _ in 0..count {
            let length = number(&mut input)? as usize;
            let ids = numbers(&mut input, length)?;
            match tokenizer.decode(&ids, shape) {
                Ok(chunk) => {
                    answer.push(1);
                    answer.extend(chunk.iter().map(|value| value.to_bits()));
                }
                Err(_) => answer.push(0),
            }
        }
        let bytes: Vec<u8> = answer.into_iter().flat_map(u32::to_le_bytes).collect();
        output.write_all(&bytes)?;
        output.flush()?;
    }
}
