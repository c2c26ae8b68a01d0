//! The part `score`: options and report.

use crate::measure::score::{self, ScorePlan, ScoreTimes};
use clap::Args;
use indicatif::ProgressBar;
use layers::{Device, Precision};
use server::scorer_service::ScorerFiles;
use std::{fmt, path::PathBuf, time::Duration};

#[derive(Debug, Args)]
pub(super) struct ScorerArguments {
    /// Folder of a Qwen3-VL checkpoint, for the part score; the nano scorer embedded in this binary when absent.
    #[arg(long, value_name = "DIR")]
    scorer: Option<PathBuf>,
    /// Length of the scored clip, in seconds.
    #[arg(long, value_name = "SECS", default_value_t = 33.0)]
    clip_secs: f64,
    /// Frames per second of that clip.
    #[arg(long, value_name = "F", default_value_t = 10.0)]
    clip_fps: f64,
    /// Numbers of prefixes.
    #[arg(long, value_name = "K,...", value_delimiter = ',', default_values_t = [5, 15, 60])]
    clip_prefixes: Vec<usize>,
    /// Rounds, each of which measures every reading strategy.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=1000))]
    rounds: u64,
    /// Precisions to compare with f32; none with an empty list.
    #[arg(long, value_name = "TYPE,...", value_delimiter = ',', default_values_t = [
        Precision::F32, Precision::Bf16, Precision::F16, Precision::Int8, Precision::Int4])]
    precisions: Vec<Precision>,
    /// Compare no precisions.
    #[arg(long, conflicts_with = "precisions")]
    no_precisions: bool,
}

impl ScorerArguments {
    pub(super) fn measure(
        &self,
        device: &Device,
        precision: Precision,
    ) -> anyhow::Result<ScoreTimes> {
        let plan = ScorePlan {
            clip_secs: self.clip_secs,
            fps: self.clip_fps,
            prefixes: self.clip_prefixes.clone(),
            repeats: usize::try_from(self.rounds)?,
            precision,
            precisions: if self.no_precisions {
                Vec::new()
            } else {
                self.precisions.clone()
            },
        };
        let files = match &self.scorer {
            None => ScorerFiles::nano(),
            Some(folder) => ScorerFiles::open_dir(folder),
        }?;
        let spinner = ProgressBar::new_spinner();
        spinner.enable_steady_tick(Duration::from_millis(200));
        let times = score::measure(&files, device, &plan, &|what| spinner.set_message(what))?;
        spinner.finish_and_clear();
        Ok(times)
    }
}

/// Writes the times as text.
pub(super) fn write(f: &mut fmt::Formatter<'_>, times: &ScoreTimes) -> fmt::Result {
    writeln!(
        f,
        "\nprogress scorer {}, {:.1} million parameters in {}: a clip of {} frames at {} per second, {} of them scored",
        times.scorer,
        times.parameters as f64 / 1e6,
        times.precision,
        times.frames,
        times.fps,
        times.shown_frames
    )?;
    for forms in &times.forms {
        writeln!(
            f,
            "{:3} prefixes: each by itself {:10.1} ms, streaming {:10.1} ms ({:5.2} times), packed {:10.1} ms ({:5.2} times), at most {:.1e} apart",
            forms.prefixes,
            forms.naive.median,
            forms.streaming.median,
            forms.streaming_ratio,
            forms.packed.median,
            forms.packed_ratio,
            forms.largest_difference
        )?;
        if let Some(processor) = &forms.processor {
            writeln!(
                f,
                "      processor time: {:16.1} ms {:21.1} ms ({:5.2} times) {:16.1} ms ({:5.2} times)",
                processor.naive,
                processor.streaming,
                processor.streaming_ratio,
                processor.packed,
                processor.packed_ratio
            )?;
        }
    }
    for precision in &times.precisions {
        let rank = precision
            .rank_correlation
            .map_or_else(|| "undefined".to_owned(), |rank| format!("{rank:.4}"));
        writeln!(
            f,
            "{:5} {:10.1} MB {:10.1} ms a curve, rank correlation with f32 {rank}, at most {:.1e} apart",
            precision.precision,
            precision.weight_bytes as f64 / 1e6,
            precision.streaming.median,
            precision.largest_difference
        )?;
    }
    Ok(())
}
