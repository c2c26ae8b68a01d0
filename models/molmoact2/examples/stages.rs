//! Time of each stage of an answer, on the CPU, for any policy folder.
//!
//! ```text
//! cargo run -p molmoact2 --example stages -- models/nano/molmoact2 [answers]
//! ```
//! Prints the median milliseconds per stage and mode, after three warm-up answers.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use molmoact2::{ActOptions, Files, Mode, Observation, Policy};
use vision::RgbImage;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(folder) = arguments.next() else {
        eprintln!("usage: stages POLICY_FOLDER [ANSWERS]");
        return ExitCode::FAILURE;
    };
    let answers = arguments.next().and_then(|n| n.parse().ok()).unwrap_or(20);
    match run(Path::new(&folder), answers) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(folder: &Path, answers: usize) -> Result<(), Box<dyn std::error::Error>> {
    let policy = Policy::load(&Files::open_dir(folder)?, &layers::device::cpu())?;
    let info = policy.info();
    println!(
        "{}: {} parameters, {}",
        info.name, info.parameters, info.dtype
    );
    let tag = info.tags.first().ok_or("the policy knows no robot")?;
    // An image with some structure; its content does not affect the time.
    let pixels: Vec<u8> = (0..240 * 320 * 3).map(|i| (i * 31 % 251) as u8).collect();
    let frame = RgbImage::new(320, 240, pixels)?;
    let images: Vec<RgbImage> = vec![frame; tag.cameras.len().max(1)];
    let state = vec![0.0; tag.state_dim];
    let observation = Observation {
        images: &images,
        state: &state,
        instruction: "push the red cube to the left",
        tag: &tag.tag,
    };
    for &mode in &info.modes {
        let options = ActOptions {
            mode,
            ..ActOptions::default()
        };
        let mut times: BTreeMap<(usize, &str), Vec<u64>> = BTreeMap::new();
        let mut tokens = 0;
        let mut prompt = 0;
        for answer in 0..answers + 3 {
            let action = policy.act(&observation, &options)?;
            tokens = action.action_tokens.len();
            prompt = action.prompt_ids.len();
            if answer < 3 {
                continue;
            }
            let total = action.stages.iter().map(|stage| stage.micros).sum();
            for (index, stage) in action.stages.iter().enumerate() {
                times
                    .entry((index, stage.name))
                    .or_default()
                    .push(stage.micros);
            }
            times.entry((usize::MAX, "total")).or_default().push(total);
        }
        println!("{mode}, {prompt} prompt tokens");
        for ((_, name), mut micros) in times {
            micros.sort_unstable();
            let median = micros.get(micros.len() / 2).copied().unwrap_or(0);
            println!("  {name:12} {:8.2} ms", median as f64 / 1e3);
        }
        if mode == Mode::Discrete {
            println!("  {tokens} tokens");
        }
    }
    Ok(())
}
