//! Time per chunk in batches of 1, 2, 4 and 8, on the CPU, for any policy folder.
//!
//! ```text
//! cargo run -p molmoact2 --example batch -- models/nano/molmoact2 [rounds]
//! ```
//! Every round answers once with each size, so that other load of the machine affects all sizes. Prints the median
//! milliseconds per chunk and per stage, and the speedup over batches of one.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use molmoact2::{ActOptions, Files, Observation, Policy, Request};
use vision::RgbImage;

const SIZES: [usize; 4] = [1, 2, 4, 8];

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(folder) = arguments.next() else {
        eprintln!("usage: batch POLICY_FOLDER [ROUNDS]");
        return ExitCode::FAILURE;
    };
    let rounds = arguments.next().and_then(|n| n.parse().ok()).unwrap_or(20);
    match run(Path::new(&folder), rounds) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(folder: &Path, rounds: usize) -> Result<(), Box<dyn std::error::Error>> {
    let policy = Policy::load(&Files::open_dir(folder)?, &layers::device::cpu())?;
    let info = policy.info();
    println!("{}: {} parameters", info.name, info.parameters);
    let tag = info.tags.first().ok_or("the policy knows no robot")?;
    // An image with some structure; its content does not affect the time.
    let pixels: Vec<u8> = (0..240 * 320 * 3).map(|i| (i * 31 % 251) as u8).collect();
    let frame = RgbImage::new(320, 240, pixels)?;
    let images: Vec<RgbImage> = vec![frame; tag.cameras.len().max(1)];
    let state = vec![0.0; tag.state_dim];
    // Prompts of different lengths.
    let tasks = [
        "push the red cube to the left",
        "pick up the green cube",
        "put the blue cube into the bowl at the back",
        "reach for the yellow cube",
    ];
    for &mode in &info.modes {
        let options: Vec<ActOptions> = (0..8)
            .map(|seed| ActOptions {
                mode,
                seed,
                ..ActOptions::default()
            })
            .collect();
        let requests: Vec<Request<'_>> = options
            .iter()
            .zip(tasks.iter().cycle())
            .map(|(options, task)| Request {
                observation: Observation {
                    images: &images,
                    state: &state,
                    instruction: task,
                    tag: &tag.tag,
                },
                options,
            })
            .collect();
        let mut totals: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
        let mut stages: BTreeMap<(usize, &str), BTreeMap<usize, Vec<f64>>> = BTreeMap::new();
        let mut tokens = 0;
        for round in 0..=rounds {
            for size in SIZES {
                let batch = requests.get(..size).unwrap_or_default();
                let started = Instant::now();
                let answers = policy.act_batch(batch, size);
                let millis = started.elapsed().as_secs_f64() * 1e3 / size as f64;
                let actions = answers.into_iter().collect::<Result<Vec<_>, _>>()?;
                tokens = actions
                    .iter()
                    .map(|action| action.prompt_ids.len())
                    .max()
                    .unwrap_or(0);
                if round == 0 {
                    continue;
                }
                totals.entry(size).or_default().push(millis);
                let first = actions.first().map(|action| action.stages.as_slice());
                for (index, stage) in first.unwrap_or_default().iter().enumerate() {
                    let of = stages.entry((index, stage.name)).or_default();
                    let millis = stage.micros as f64 / 1e3 / size as f64;
                    of.entry(size).or_default().push(millis);
                }
            }
        }
        println!("{mode}, prompts of up to {tokens} tokens, ms per chunk in batches of {SIZES:?}");
        for ((_, name), of) in stages {
            println!("  {name:12} {}", line(&of));
        }
        println!("  {:12} {}", "total", line(&totals));
    }
    Ok(())
}

/// The medians, and the ratio of the first to the last.
fn line(of: &BTreeMap<usize, Vec<f64>>) -> String {
    let medians: Vec<f64> = of
        .values()
        .map(|millis| {
            let mut sorted = millis.clone();
            sorted.sort_by(f64::total_cmp);
            sorted.get(sorted.len() / 2).copied().unwrap_or_default()
        })
        .collect();
    let numbers: Vec<String> = medians.iter().map(|ms| format!("{ms:9.2}")).collect();
    let ratio = match (medians.first(), medians.last()) {
        (Some(first), Some(last)) if *last > 0.0 => first / last,
        _ => 1.0,
    };
    format!("{}   {ratio:5.2} x", numbers.join(" "))
}
