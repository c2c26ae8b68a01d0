//! One video.

use super::{Score, bar, report::Report};
use anyhow::{Context as _, bail};
use evaluation::scores::{
    Keeper, Kept, ScoringError,
    stills::Folder,
    tools::FFPROBE,
    video::{self, Plan},
};
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};
use topreward::{Clip, scorer::Request};

/// Where the frames of one video come from, looked at already.
pub(super) enum Source {
    Folder(Folder),
    File { path: PathBuf, plan: Plan },
}

impl Source {
    fn file(path: &Path, plan: Plan) -> Self {
        for words in &plan.notes {
            note(path, words);
        }
        Self::File {
            path: path.to_owned(),
            plan,
        }
    }

    /// Says what is missing of a video that gave a film. What is there is scored, but that is not what was asked for.
    pub(super) fn status(&self, film: &Kept) -> ExitCode {
        match self {
            Self::File { path, plan } => match plan.shortage(film.count()) {
                Some(words) => {
                    note(path, &format!("{words}; only what is there is scored"));
                    ExitCode::FAILURE
                }
                None => ExitCode::SUCCESS,
            },
            Self::Folder(_) => ExitCode::SUCCESS,
        }
    }

    /// Reads what `keeper` wants.
    pub(super) fn film(&self, keeper: Keeper) -> anyhow::Result<Kept> {
        let (bar, film);
        match self {
            Self::Folder(folder) => {
                bar = super::bar("reading {wide_bar} {pos}/{len} images")?;
                film = folder.read(keeper, &mut |done, of| {
                    bar.set_length(of as u64);
                    bar.set_position(done as u64);
                });
            }
            Self::File { path, plan } => {
                bar = super::bar("decoding {pos} frames")?;
                film = video::read(path, plan.frames, keeper, &mut |done| {
                    bar.set_position(done as u64);
                });
            }
        }
        bar.finish_and_clear();
        film.map_err(in_other_ways)
    }
}

/// An error of one video, with the way that a data set does not have.
fn in_other_ways(error: ScoringError) -> anyhow::Error {
    let way = match &error {
        ScoringError::NoDecoder { program: FFPROBE } => "or say the frame rate with --fps F",
        ScoringError::NoDecoder { .. } => {
            "or write the frames to a folder and give --frames DIR --fps F"
        }
        ScoringError::NoRate { .. } => "say it with --fps F",
        _ => return error.into(),
    };
    anyhow::anyhow!("{error}; {way}")
}

impl Score {
    pub(super) fn score_one(&self) -> anyhow::Result<ExitCode> {
        let asking = &self.asking;
        let options = asking.options();
        let (source, fps) = self.source()?;
        // Asked before anything is read: a rate of nothing would keep every frame.
        Clip::new(1, fps)?;
        let film = source.film(Keeper::new(options.profile, fps, options.pre_resize))?;
        let clip = Clip::new(film.count(), fps)?;
        // A list that does not fit the clip is refused before a model is loaded.
        asking.prefixes.lengths(&clip, asking.profile)?;
        let chosen = super::super::policy::choose(asking.device.into())?;
        let scorer = asking.load(&chosen.device)?;
        let request = Request {
            clip,
            prefixes: &asking.prefixes,
            instruction: self.instruction()?,
            other_task: self.other_instruction.as_deref(),
            description: asking.description.as_deref(),
        };
        let bar = bar("{msg} {wide_bar} {pos}/{len} points, {eta} to go")?;
        let started = Instant::now();
        let scored = asking.score(&scorer, &film, &request, &bar)?;
        bar.finish_and_clear();
        let report = Report {
            scorer: scorer.model().info().name.clone(),
            device: chosen.words(),
            dtype: asking.dtype.to_string(),
            text_layout: asking.layout.name(),
            pre_resize: options.pre_resize,
            secs: started.elapsed().as_secs_f64(),
            score: scored.score,
            descriptions: scored.descriptions,
        };
        super::super::print(&report, self.json)?;
        Ok(source.status(&film))
    }

    /// Of one video.
    pub(super) fn instruction(&self) -> anyhow::Result<&str> {
        self.instruction
            .as_deref()
            .context("say what the robot was told with --instruction")
    }

    /// Looks at what is to be scored: where its frames are, and how many there are a second. What is doubtful about them is
    /// said on standard error.
    pub(super) fn source(&self) -> anyhow::Result<(Source, f64)> {
        if let Some(folder) = &self.frames {
            let fps = self
                .fps
                .context("--frames needs --fps: images do not say at which rate they were taken")?;
            let images = Folder::open(folder)?;
            if let Some(doubt) = images.doubt() {
                note(folder, doubt);
            }
            return Ok((Source::Folder(images), fps));
        }
        let Some(file) = &self.video else {
            bail!("give --video FILE or --frames DIR");
        };
        let plan = video::plan(file, self.fps).map_err(in_other_ways)?;
        let fps = plan.fps;
        Ok((Source::file(file, plan), fps))
    }

    /// The same for a method that does not ask when frames were taken.
    pub(super) fn source_of_any_rate(&self) -> anyhow::Result<Source> {
        let Some(file) = &self.video else {
            return Ok(self.source()?.0);
        };
        let plan = match video::plan(file, self.fps) {
            Err(ScoringError::NoRate { .. } | ScoringError::NoDecoder { .. }) => {
                video::plan(file, Some(1.0))
            }
            plan => plan,
        };
        Ok(Source::file(file, plan.map_err(in_other_ways)?))
    }
}

fn note(path: &Path, words: &str) {
    eprintln!("note: {}: {words}", path.display());
}
