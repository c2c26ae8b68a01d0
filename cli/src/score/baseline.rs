//! The baseline, of one video and of a data set.

use super::{Score, bar, one::Source, rows};
use anyhow::{Context as _, bail};
use clap::Args;
use datasets::lerobot::{DataSet, Entry};
use evaluation::scores::{Failure, FolderLock, Journal, Keeper, MOST_FRAMES};
use qwen3vl::StopReason;
use serde::Serialize;
use std::{collections::HashSet, fmt, ops::ControlFlow, path::Path, process::ExitCode};
use topreward::{
    GvlRecord, Profile,
    gvl::{Gvl, ShownFrames},
    gvl_mean_voc,
    scorer::BaselineAnswer,
};

#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Options {
    /// With --method gvl: frames that are asked about.
    #[arg(long, value_name = "N", default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=1000))]
    gvl_frames: u64,
    /// With --method gvl: seed of the draw and the shuffle.
    #[arg(long, value_name = "SEED", default_value_t = 42)]
    gvl_seed: u64,
    /// With --method gvl: most tokens of an answer.
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    gvl_tokens: u64,
}

impl Options {
    fn gvl(self) -> anyhow::Result<Gvl> {
        Ok(Gvl::new(usize::try_from(self.gvl_frames)?, self.gvl_seed))
    }
}

#[derive(Debug, Serialize)]
struct One {
    method: &'static str,
    scorer: String,
    device: String,
    instruction: String,
    /// Frames in the order of time.
    frames: Vec<usize>,
    /// In the order in which they were shown.
    shuffled: Vec<usize>,
    /// Progress of each of `frames` that the answer gives (percent).
    percentages: Option<Vec<f64>>,
    voc: Option<f64>,
    /// Why the answer cannot be used.
    error: Option<String>,
    answer: String,
    answer_tokens: usize,
    ended_itself: bool,
}

impl fmt::Display for One {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n", self.answer.trim())?;
        match (&self.percentages, self.voc, &self.error) {
            (Some(percentages), Some(voc), _) => {
                for (frame, percentage) in self.frames.iter().zip(percentages) {
                    writeln!(f, "frame {frame:6} {percentage:5} %")?;
                }
                writeln!(f, "\nVOC {voc:.3}")
            }
            (_, _, Some(error)) => writeln!(f, "not usable: {error}"),
            _ => Ok(()),
        }
    }
}

#[derive(Debug, Serialize)]
struct Set {
    model_name: String,
    dataset_name: String,
    method: &'static str,
    num_examples: usize,
    /// Episodes whose answer could be used.
    num_examples_used_for_metrics: usize,
    voc_mean: Option<f64>,
    failed: Vec<Failure>,
}

impl fmt::Display for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let voc = self
            .voc_mean
            .map_or_else(|| "none".to_owned(), |voc| format!("{voc:.3}"));
        writeln!(
            f,
            "{} episodes asked, {} answers usable, mean VOC {voc}",
            self.num_examples, self.num_examples_used_for_metrics
        )?;
        self.failed.iter().try_for_each(|failure| {
            writeln!(
                f,
                "episode {} failed: {}",
                failure.episode_index, failure.error
            )
        })
    }
}

impl Score {
    pub(super) fn ask_one(&self) -> anyhow::Result<ExitCode> {
        let source = self.source_of_any_rate()?;
        let total = match &source {
            Source::Folder(folder) => folder.count(),
            // A file need not say truly how many frames it has, and which ones are shown depends on that.
            file @ Source::File { .. } => file
                .film(Keeper::new(Profile::Aligned, 1.0, Some(1)))?
                .count(),
        };
        let shown = self.baseline.gvl()?.show(total, 0)?;
        let wanted = shown.chronological.iter().copied().chain([shown.first]);
        let film = source.film(Keeper::only(wanted, None))?;
        let chosen = super::super::policy::choose(self.asking.device.into())?;
        let scorer = self.asking.load(&chosen.device)?;
        let instruction = self.instruction()?;
        let bar = bar("{spinner} {pos} tokens written")?;
        let answer = layers::block_on(scorer.ask_percentages(
            &film,
            &shown,
            instruction,
            usize::try_from(self.baseline.gvl_tokens)?,
            &mut |_| {
                bar.inc(1);
                ControlFlow::Continue(())
            },
        ))?;
        bar.finish_and_clear();
        let BaselineAnswer {
            text,
            tokens,
            stop_reason,
            parsed,
        } = answer;
        let usable = parsed.is_ok();
        let one = One {
            method: "gvl",
            scorer: scorer.model().info().name.clone(),
            device: chosen.words(),
            instruction: instruction.to_owned(),
            frames: shown.chronological,
            shuffled: shown.shuffled,
            percentages: parsed
                .as_ref()
                .ok()
                .map(|answer| answer.percentages.clone()),
            voc: parsed.as_ref().ok().map(|answer| answer.voc),
            error: parsed.err().map(|error| error.to_string()),
            answer: text,
            answer_tokens: tokens,
            ended_itself: stop_reason == StopReason::EndOfText,
        };
        super::super::print(&one, self.json)?;
        Ok(if usable {
            source.status(&film)
        } else {
            ExitCode::FAILURE
        })
    }

    pub(super) fn ask_data_set(&self, folder: &Path) -> anyhow::Result<ExitCode> {
        let data_set = DataSet::open(folder)?;
        let camera = data_set.camera(self.set.camera.as_deref())?;
        let fps = data_set
            .fps(&camera)
            .context("meta/info.json does not say a rate above 0 (fps)")?;
        let listing = data_set.listing()?;
        super::notes(&listing.notes);
        let chosen_episodes = self.set.choose(&listing)?;
        let out = self.set.out(folder);
        let _lock = FolderLock::take(&out)?;
        let (mut journal, mut records) =
            Journal::open::<GvlRecord>(&out.join("gvl_predictions.jsonl"))?;
        let finished: HashSet<u64> = records
            .iter()
            .map(|record| record.eval_episode.episode_index)
            .collect();
        let chosen = super::super::policy::choose(self.asking.device.into())?;
        let scorer = self.asking.load(&chosen.device)?;
        let name = super::data_set::name(folder);
        let mut gvl = self.baseline.gvl()?;
        let bar = bar("{msg} {wide_bar} {pos}/{len} episodes, {eta} to go")?;
        bar.set_length(chosen_episodes.len() as u64);
        let mut finder = data_set.row_finder();
        super::notes(&rows::without(&finder));
        let mut failed = Vec::new();
        for (index, place) in chosen_episodes.into_iter().enumerate() {
            let Some(entry) = listing.episodes.get(place) else {
                continue;
            };
            // Drawn for finished ones too: the draws of an episode depend on how many there were before.
            let shown = draw(&mut gvl, entry);
            bar.inc(1);
            if finished.contains(&entry.index) {
                continue;
            }
            let instruction = self.instruction.as_deref().unwrap_or(&entry.task);
            let ask = || -> anyhow::Result<(ShownFrames, BaselineAnswer)> {
                let shown = shown?;
                if instruction.trim().is_empty() {
                    bail!("{}", super::NO_TASK);
                }
                let wanted = shown.chronological.iter().copied().chain([shown.first]);
                let pace = finder.find(entry).ok().and_then(|rows| rows.pace);
                let place = (camera.as_str(), fps, pace);
                let (film, _) = rows::film(&data_set, entry, place, &mut |_| {
                    Keeper::only(wanted.clone(), None)
                })?;
                let mut tokens = 0;
                let answer = layers::block_on(scorer.ask_percentages(
                    &film,
                    &shown,
                    instruction,
                    usize::try_from(self.baseline.gvl_tokens)?,
                    &mut |_| {
                        tokens += 1;
                        bar.set_message(format!("episode {}: {tokens} tokens", entry.index));
                        ControlFlow::Continue(())
                    },
                ))?;
                Ok((shown, answer))
            };
            match ask() {
                Ok((shown, answer)) => {
                    let record = GvlRecord::new(
                        index,
                        &name,
                        entry.index,
                        instruction,
                        entry.frames,
                        &shown,
                        &answer.text,
                    );
                    journal.add(&record)?;
                    records.push(record);
                }
                Err(error) => {
                    let error = super::of_episode(entry.index, &error);
                    bar.suspend(|| eprintln!("episode {}: {error}", entry.index));
                    failed.push(Failure {
                        episode_index: entry.index,
                        error,
                    });
                }
            }
        }
        bar.finish_and_clear();
        let (voc_mean, used) = gvl_mean_voc(&records)?;
        // A run without one usable answer has scored nothing.
        let all = failed.is_empty() && used > 0 && self.set.has_all(&data_set, &listing);
        let set = Set {
            model_name: scorer.model().info().name.clone(),
            dataset_name: name,
            method: "gvl",
            num_examples: records.len(),
            num_examples_used_for_metrics: used,
            voc_mean,
            failed,
        };
        super::super::print(&set, self.json)?;
        Ok(if all {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

/// The frames of an episode to ask about; an episode of none, or of more than a video can have, costs itself.
fn draw(gvl: &mut Gvl, entry: &Entry) -> anyhow::Result<ShownFrames> {
    if entry.frames > MOST_FRAMES {
        bail!(
            "the metadata give it {} frames; at most {MOST_FRAMES} are read",
            entry.frames
        );
    }
    Ok(gvl.show(entry.frames, entry.index)?)
}
