//! One video.

use super::{Score, bar, report::Report};
use anyhow::{Context as _, bail};
use policy_studio::scoring::{Keeper, Kept, stills, video};
use std::{process::ExitCode, time::Instant};
use topreward::{Clip, scorer::Request};

impl Score {
    pub(super) fn score_one(&self) -> anyhow::Result<ExitCode> {
        let asking = &self.asking;
        let options = asking.options();
        let fps = self.fps()?;
        // Asked before anything is read: a rate of nothing would keep every frame.
        Clip::new(1, fps)?;
        let film = self.film(Keeper::new(options.profile, fps, options.pre_resize))?;
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
        Ok(ExitCode::SUCCESS)
    }

    /// Of one video.
    pub(super) fn instruction(&self) -> anyhow::Result<&str> {
        self.instruction
            .as_deref()
            .context("say what the robot was told with --instruction")
    }

    pub(super) fn fps(&self) -> anyhow::Result<f64> {
        if let Some(fps) = self.fps {
            return Ok(fps);
        }
        let Some(file) = &self.video else {
            bail!("--frames needs --fps: images do not say at which rate they were taken");
        };
        video::frame_rate(file)?
            .with_context(|| format!("{} does not say its rate; give --fps", file.display()))
    }

    pub(super) fn film(&self, keeper: Keeper) -> anyhow::Result<Kept> {
        if let Some(folder) = &self.frames {
            let bar = bar("reading {wide_bar} {pos}/{len} images")?;
            let film = stills::read(folder, keeper, &mut |done, of| {
                bar.set_length(of as u64);
                bar.set_position(done as u64);
            })?;
            bar.finish_and_clear();
            return Ok(film);
        }
        let Some(file) = &self.video else {
            bail!("give --video FILE or --frames DIR");
        };
        let bar = bar("decoding {pos} frames")?;
        let film = video::read(file, None, keeper, &mut |done| {
            bar.set_position(done as u64);
        })?;
        bar.finish_and_clear();
        Ok(film)
    }
}
