//! A whole data set.

use super::{
    Score,
    asking::Told,
    bar, rows,
    selection::{Episodes, parse_labels},
};
use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use datasets::lerobot::{DataSet, Entry, Listing, Pace};
use evaluation::scores::{
    Failure, Finished, FolderLock, Keeper, RunSetting, Store, Summary, export,
};
use field_files::Limit;
use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    process::ExitCode,
};
use topreward::{Clip, Impute, Record, TopAwr, scorer::Request};

/// What is made of the scores for training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Export {
    /// rabc_weights.parquet: a weight per frame for reward-aligned behaviour cloning.
    Rabc,
    /// top_awr_weights.json: a weight per step between prefixes for advantage-weighted regression.
    TopAwr,
    /// value_annotations.json: discounted sums of what is still to come.
    Values,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ImputeArgument {
    /// Nothing.
    Zero,
    /// A straight line between its neighbours.
    Interpolate,
    /// What the last scored frame has.
    Duplicate,
}

#[derive(Debug, Args)]
pub(super) struct DataSetArguments {
    /// With --dataset: whose pictures; observation.images. may be left out. Needed where there are several cameras.
    #[arg(long, value_name = "NAME", requires = "dataset")]
    pub(super) camera: Option<String>,
    /// With --dataset: which episodes, such as 0-9,12; all when absent.
    #[arg(long, value_name = "LIST", requires = "dataset")]
    episodes: Option<Episodes>,
    /// With --dataset: folder for everything that is written; the folder topreward in the data set when absent.
    #[arg(long, value_name = "DIR", requires = "dataset")]
    out: Option<PathBuf>,
    /// With --dataset: write the progress files into the data set's own folder too, where LeRobot's trainer and the public
    /// visualizer look for them.
    #[arg(long, requires = "dataset")]
    into_dataset: bool,
    /// With --dataset: which episodes succeeded, for the area under the ROC curve: lines of EPISODE,0 or EPISODE,1, or a
    /// JSON object. The data set's own next.success when absent.
    #[arg(long, value_name = "FILE", requires = "dataset")]
    labels: Option<PathBuf>,
    /// With --dataset: what to write for training, separated by commas.
    #[arg(
        long,
        value_enum,
        value_name = "WHAT",
        value_delimiter = ',',
        requires = "dataset"
    )]
    export: Vec<Export>,
    /// With --export rabc: frames of an action chunk.
    #[arg(long, value_name = "FRAMES", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..))]
    chunk: u64,
    /// With --export values: how much a step into the future takes off.
    #[arg(long, value_name = "G", default_value_t = 0.99)]
    gamma: f64,
    /// With --export values: what a frame between two scored ones has; only scored ones get a value when absent.
    #[arg(long, value_enum, value_name = "HOW")]
    impute: Option<ImputeArgument>,
}

impl DataSetArguments {
    pub(super) fn out(&self, data_set: &Path) -> PathBuf {
        self.out
            .clone()
            .unwrap_or_else(|| data_set.join("topreward"))
    }

    /// Places in the listing, one at least.
    pub(super) fn choose(&self, listing: &Listing) -> anyhow::Result<Vec<usize>> {
        let places: Vec<usize> = match &self.episodes {
            None => (0..listing.episodes.len()).collect(),
            Some(episodes) => episodes.places(listing)?,
        };
        // A run that does nothing is no success.
        if places.is_empty() {
            bail!("there are no episodes in the data set: nothing to score");
        }
        Ok(places)
    }

    /// True if every episode that was asked for is listed: without a choice, all that the data set announces.
    pub(super) fn has_all(&self, data_set: &DataSet, listing: &Listing) -> bool {
        let announced = data_set.info().total_episodes.unwrap_or_default();
        self.episodes.is_some() || announced <= listing.episodes.len()
    }

    fn labels(&self, data_set: &DataSet) -> anyhow::Result<Option<BTreeMap<u64, bool>>> {
        let Some(path) = &self.labels else {
            // Rows that cannot be asked leave an area out that nobody has asked for.
            return Ok(data_set.successes().unwrap_or_default());
        };
        let text = field_files::read_text(path, Limit::SETTINGS)?;
        parse_labels(&text)
            .map(Some)
            .with_context(|| format!("cannot use {}", path.display()))
    }
}

/// Name of a data set: that of its folder.
pub(super) fn name(folder: &Path) -> String {
    let whole = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    whole.file_name().map_or_else(
        || folder.display().to_string(),
        |name| name.to_string_lossy().into_owned(),
    )
}

/// The summary with where everything is.
#[derive(serde::Serialize)]
struct SetReport {
    #[serde(serialize_with = "crate::path_text::of")]
    out: PathBuf,
    /// Scored in this run.
    scored: usize,
    /// Scored before.
    skipped: usize,
    #[serde(flatten)]
    summary: Summary,
}

impl fmt::Display for SetReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let metrics = &self.summary.metrics;
        let figure = |value: Option<f64>| {
            value.map_or_else(|| "none".to_owned(), |value| format!("{value:.3}"))
        };
        writeln!(
            f,
            "{} episodes of {} scored ({} now, {} before), {} failed",
            self.summary.valid_count,
            self.summary.dataset_name,
            self.scored,
            self.skipped,
            self.summary.error_count
        )?;
        for failure in &self.summary.failed {
            writeln!(f, "  episode {}: {}", failure.episode_index, failure.error)?;
        }
        writeln!(
            f,
            "mean VOC {} (frozen first frame {}, should be about 0)",
            figure(metrics.voc_mean),
            figure(metrics.static_voc_mean)
        )?;
        writeln!(
            f,
            "mean success score {}; above the frozen frame by {}, the negation by {}, a wrong instruction by {}",
            figure(metrics.success_score_mean),
            figure(metrics.static_gap_mean),
            figure(metrics.negation_gap_mean),
            figure(metrics.wrong_instruction_gap_mean)
        )?;
        if metrics.successes + metrics.failures > 0 {
            writeln!(
                f,
                "success AUC {} over {} successes and {} failures",
                figure(metrics.success_auc),
                metrics.successes,
                metrics.failures
            )?;
        }
        writeln!(f, "in {}", self.out.display())
    }
}

impl Score {
    pub(super) fn score_data_set(&self, folder: &Path) -> anyhow::Result<ExitCode> {
        let asking = &self.asking;
        let data_set = DataSet::open(folder)?;
        let camera = data_set.camera(self.set.camera.as_deref())?;
        let fps = data_set
            .fps(&camera)
            .context("meta/info.json does not say a rate above 0 (fps)")?;
        Clip::new(1, fps)?;
        let listing = data_set.listing()?;
        super::notes(&listing.notes);
        let chosen_episodes = self.set.choose(&listing)?;
        let labels = self.set.labels(&data_set)?;
        let chosen = super::super::policy::choose(asking.device.into())?;
        let options = asking.options();
        let setting = RunSetting {
            dataset: name(folder),
            camera: camera.clone(),
            scorer: name(&asking.scorer),
            dtype: asking.dtype.to_string(),
            profile: asking.profile,
            prefixes: asking.prefixes.to_string(),
            template: options.template,
            text_layout: asking.layout.name().to_owned(),
            pre_resize: options.pre_resize,
            described: asking.describe,
            instruction: self.instruction.clone(),
        };
        let out = self.set.out(folder);
        let mut store = Store::open(&out, &setting)?;
        super::notes(store.notes());
        let same = |one: &Path, other: &Path| one.canonicalize().ok() == other.canonicalize().ok();
        let _into = (self.set.into_dataset && !same(&out, folder))
            .then(|| FolderLock::take(folder))
            .transpose()?;
        let scorer = asking.load(&chosen.device)?;
        let whole = bar("{msg} {wide_bar} {pos}/{len} episodes, {eta} to go")?;
        whole.set_length(chosen_episodes.len() as u64);
        let (mut failed, mut scored, mut skipped) = (Vec::new(), 0, 0);
        let mut finder = data_set.row_finder();
        super::notes(&rows::without(&finder));
        for (index, place) in chosen_episodes.into_iter().enumerate() {
            let Some(entry) = listing.episodes.get(place) else {
                continue;
            };
            let episode_index = usize::try_from(entry.index)?;
            if store.finished().contains_key(&episode_index) {
                skipped += 1;
                whole.inc(1);
                continue;
            }
            whole.set_message(format!("episode {}", entry.index));
            let other = self
                .other_instruction
                .as_deref()
                .or_else(|| listing.other_task(place));
            let told = rows::of(&mut finder, entry).and_then(|rows| {
                let film = (camera.as_str(), fps, rows.pace);
                let told = self.score_episode(&scorer, &data_set, entry, film, other)?;
                Ok((told.score, rows.indices))
            });
            match told {
                Ok((score, indices)) => {
                    store.add(Finished {
                        record: Record::new(index, &setting.dataset, episode_index, &score),
                        score,
                        indices,
                    })?;
                    scored += 1;
                }
                Err(error) => {
                    let error = super::of_episode(entry.index, &error);
                    whole.suspend(|| eprintln!("episode {}: {error}", entry.index));
                    failed.push(Failure {
                        episode_index: entry.index,
                        error,
                    });
                }
            }
            whole.inc(1);
        }
        whole.finish_and_clear();
        rows::number_again(&mut store, &listing, &mut finder);
        let model = &scorer.model().info().name;
        // Files without a row would look like results.
        if !store.finished().is_empty() {
            store.write_progress(&out, model)?;
            if self.set.into_dataset {
                store.write_progress(folder, model)?;
            }
            self.export(&store)?;
        }
        let all = failed.is_empty() && self.set.has_all(&data_set, &listing);
        let summary = Summary::new(
            model,
            &setting.dataset,
            store.finished(),
            failed,
            labels.as_ref(),
        )?;
        store.write_summary(&summary)?;
        let labelled = summary.metrics.successes + summary.metrics.failures;
        if let Some(path) = self.set.labels.as_ref().filter(|_| labelled == 0) {
            eprintln!(
                "note: {}: no scored episode has a label there",
                path.display()
            );
        }
        let report = SetReport {
            out,
            scored,
            skipped,
            summary,
        };
        super::super::print(&report, self.json)?;
        Ok(if all {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }

    fn score_episode(
        &self,
        scorer: &topreward::scorer::Scorer,
        data_set: &DataSet,
        entry: &Entry,
        (camera, fps, pace): (&str, f64, Option<Pace>),
        other_task: Option<&str>,
    ) -> anyhow::Result<Told> {
        let options = scorer.options();
        let instruction = self.instruction.as_deref().unwrap_or(&entry.task);
        if instruction.trim().is_empty() {
            bail!("{}", super::NO_TASK);
        }
        let (film, fps) = rows::film(data_set, entry, (camera, fps, pace), &mut |fps| {
            Keeper::new(options.profile, fps, options.pre_resize)
        })?;
        let request = Request {
            clip: Clip::new(film.count(), fps)?,
            prefixes: &self.asking.prefixes,
            instruction,
            other_task,
            description: None,
        };
        self.asking
            .score(scorer, &film, &request, &indicatif::ProgressBar::hidden())
    }

    fn export(&self, store: &Store) -> anyhow::Result<()> {
        for what in &self.set.export {
            match what {
                Export::Rabc => export::rabc(store, usize::try_from(self.set.chunk)?)?,
                Export::TopAwr => export::awr(store, TopAwr::default())?,
                Export::Values => {
                    let how = self.set.impute.map(|how| match how {
                        ImputeArgument::Zero => Impute::Zero,
                        ImputeArgument::Interpolate => Impute::Interpolate,
                        ImputeArgument::Duplicate => Impute::Duplicate,
                    });
                    export::values(store, self.set.gamma, how)?;
                }
            }
        }
        Ok(())
    }
}
