//! A chunk to token ids and back, a broken stream, and a generation that cannot end in one.
//!
//! `cargo run -p openfast --example quickstart`, with the tokenizer of the nano policy.

use openfast::{FastTokenizer, Grammar, Shape};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../nano/molmoact2/openfast");
    let tokenizer = FastTokenizer::from_dir(folder.as_ref())?;

    // Half a second of six joints at 30 steps per second, each on its way to a target of its own.
    let shape = Shape {
        horizon: 16,
        dims: 6,
    };
    let chunk: Vec<f32> = (0..16)
        .flat_map(|step| (0..6).map(move |joint| (step * joint) as f32 / 100.0))
        .collect();

    let encoded = tokenizer.encode(&chunk, shape)?;
    println!(
        "{} values, {} tokens: {:?}",
        chunk.len(),
        encoded.ids.len(),
        encoded.ids
    );
    println!("coefficients without a token: {:?}", encoded.lost);

    let decoded = tokenizer.decode(&encoded.ids, shape)?;
    let errors = decoded.iter().zip(&chunk).map(|(a, b)| (a - b).abs());
    println!("largest error: {:.4}", errors.fold(0.0, f32::max));

    let half = encoded.ids.get(..encoded.ids.len() / 2).unwrap_or_default();
    match tokenizer.decode(half, shape) {
        Ok(_) => println!("half of the stream decodes"),
        Err(error) => println!("half of the stream is refused: {error}"),
    }

    // Constrained generation: the highest logit among the ids after which a whole chunk is still in reach.
    let mut grammar = Grammar::new(&tokenizer, shape)?;
    let mut generated = Vec::new();
    while !grammar.is_complete() {
        let mut logits: Vec<f32> = (0..tokenizer.vocab_size())
            .map(|id| ((id * 31 + generated.len() * 17) % 101) as f32)
            .collect();
        grammar.mask_logits(&mut logits);
        let best = (0..)
            .zip(&logits)
            .max_by(|(_, a), (_, b)| a.total_cmp(b))
            .map(|(id, _)| id);
        let best = best.ok_or("the vocabulary is empty")?;
        grammar.push(best)?;
        generated.push(best);
    }
    tokenizer.decode(&generated, shape)?;
    println!("{} tokens of arbitrary logits decode", generated.len());
    Ok(())
}
