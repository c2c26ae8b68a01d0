//! The reference and this crate in turns.

use std::ffi::OsStr;
use std::hint::black_box;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use openfast::{FastTokenizer, Shape};
use serde_json::{Value, json};

use crate::BATCHES;
use crate::chunks::{self, SHAPES, Sample};
use crate::processor_time;

/// Turns per row of the table.
const ROUNDS: usize = 15;
/// How long one turn of ours lasts; the reference's last five times as long.
const TURN: Duration = Duration::from_millis(60);
/// Chunks that batches of one go through in turn: as many as the others, because a processor learns
/// the branches of few.
const SINGLES: usize = 256;

/// The reference in a process of its own, asked line by line.
struct Reference {
    process: Child,
    ask: ChildStdin,
    answers: BufReader<ChildStdout>,
    folder: PathBuf,
}

impl Reference {
    fn start(python: &OsStr) -> Self {
        let folder = std::env::temp_dir().join(format!("openfast-bench-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/reference/reference.py");
        let mut process = Command::new(python)
            .arg(script)
            .arg(chunks::folder())
            .env("OMP_NUM_THREADS", "1")
            .env("RAYON_NUM_THREADS", "1")
            .env("TOKENIZERS_PARALLELISM", "false")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("POLICY_STUDIO_PYTHON does not start");
        Self {
            ask: process.stdin.take().unwrap(),
            answers: BufReader::new(process.stdout.take().unwrap()),
            process,
            folder,
        }
    }

    fn ask(&mut self, question: &Value) -> Value {
        writeln!(self.ask, "{question}").unwrap();
        self.ask.flush().unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        serde_json::from_str(&answer).expect("the reference failed; see above")
    }

    /// Hands over the chunks; holds its ids and values against ours.
    fn load(&mut self, tokenizer: &FastTokenizer, sample: &Sample) {
        let path = self.folder.join("chunks.f32");
        let bytes: Vec<u8> = sample.values.iter().flat_map(|v| v.to_le_bytes()).collect();
        std::fs::write(&path, bytes).unwrap();
        let Shape { horizon, dims } = sample.shape;
        let answer =
            self.ask(&json!({"do": "load", "path": path, "horizon": horizon, "dims": dims}));
        let ids: Vec<Vec<u32>> = serde_json::from_value(answer["ids"].clone()).unwrap();
        let same = ids
            .iter()
            .zip(&sample.streams)
            .filter(|(a, b)| a == b)
            .count();
        assert_eq!(same, sample.streams.len(), "{}: other ids", sample.shape);
        let decoded = std::fs::read(answer["decoded"].as_str().unwrap()).unwrap();
        let ours = tokenizer
            .decode_batch(&sample.streams, sample.shape)
            .unwrap();
        let theirs = decoded
            .chunks_exact(8)
            .map(|b| f64::from_le_bytes(b.try_into().unwrap()));
        let most = ours
            .iter()
            .zip(theirs)
            .map(|(&a, b)| (f64::from(a) - b).abs())
            .fold(0.0, f64::max);
        assert!(most <= 1e-6, "{}: values {most:e} apart", sample.shape);
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
        std::fs::remove_dir_all(&self.folder).ok();
    }
}

/// Processor seconds that one call takes, over as many as fit in a turn.
fn time(mut call: impl FnMut(usize)) -> f64 {
    let begin = Instant::now();
    let from = processor_time::now();
    let mut calls = 0;
    while begin.elapsed() < TURN {
        for _ in 0..8 {
            call(calls);
            calls += 1;
        }
    }
    (processor_time::now() - from).as_secs_f64() / calls as f64
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Prints the table.
pub(crate) fn run(python: &OsStr) {
    let tokenizer = chunks::tokenizer();
    let mut reference = Reference::start(python);
    println!(
        "microseconds of processor time per chunk; median of {ROUNDS} rounds, in each the reference and then this crate\n"
    );
    println!(
        "| shape | tokens | | batch | reference | openfast | ratio | lowest ratio of a round |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for shape in SHAPES {
        let sample = Sample::new(&tokenizer, shape, 256);
        reference.load(&tokenizer, &sample);
        for what in ["encode", "decode"] {
            for batch in BATCHES {
                let mut rounds = Vec::new();
                for _ in 0..ROUNDS {
                    let seconds = (TURN * 5).as_secs_f64();
                    let question =
                        json!({"do": what, "batch": batch, "singles": SINGLES, "seconds": seconds});
                    let theirs = reference.ask(&question)["seconds"].as_f64().unwrap();
                    let ours = ours(&tokenizer, &sample, what, batch);
                    rounds.push((theirs, ours));
                }
                let row = |pick: fn(&(f64, f64)) -> f64| median(rounds.iter().map(pick).collect());
                let lowest = rounds
                    .iter()
                    .map(|(theirs, ours)| theirs / ours)
                    .fold(f64::MAX, f64::min);
                println!(
                    "| {shape} | {:.0} | {what} | {batch} | {:.0} | {:.2} | {:.0} | {lowest:.0} |",
                    sample.tokens(),
                    row(|round| round.0 * 1e6),
                    row(|round| round.1 * 1e6),
                    row(|round| round.0 / round.1),
                );
            }
        }
    }
    println!();
}

/// Seconds per chunk.
fn ours(tokenizer: &FastTokenizer, sample: &Sample, what: &str, batch: usize) -> f64 {
    let shape = sample.shape;
    let values = shape.values().unwrap();
    let streams = &sample.streams[..batch];
    match (what, batch) {
        ("encode", 1) => time(|call| {
            let from = call % SINGLES * values;
            black_box(
                tokenizer
                    .encode(&sample.values[from..from + values], shape)
                    .unwrap(),
            );
        }),
        ("encode", _) => {
            time(|_| {
                black_box(tokenizer.encode_batch(sample.first(batch), shape).unwrap());
            }) / batch as f64
        }
        (_, 1) => time(|call| {
            black_box(
                tokenizer
                    .decode(&sample.streams[call % SINGLES], shape)
                    .unwrap(),
            );
        }),
        _ => {
            time(|_| drop(black_box(tokenizer.decode_batch(streams, shape).unwrap())))
                / batch as f64
        }
    }
}
