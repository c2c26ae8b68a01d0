//! One episode as a video, with the truth about it.

use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use sim::{Behavior, CONTROL_RATE_HZ, Camera, Demonstration, TaskFamily, TaskProgress, World};
use std::{borrow::Cow, collections::BTreeMap};
use topreward::{
    Clip,
    scorer::{FrameSource, ScorerError, ScorerOptions},
};
use vision::RgbImage;

/// A solved episode ends this many ticks after its success: one more picture of two per second sees it.
const AFTERMATH_TICKS: u32 = CONTROL_RATE_HZ / 2;

/// Which episode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Episode {
    /// Family of the task.
    pub family: TaskFamily,
    /// What the arm does about it.
    pub behaviour: Behavior,
    /// Seed of the scene, the task and the wordings.
    pub seed: u64,
}

/// What was filmed.
#[derive(Debug)]
pub struct Filmed {
    /// How long it is.
    pub clip: Clip,
    /// What the robot was told.
    pub instruction: String,
    /// Another task over the same scene, which succeeds only where the first one does not.
    pub wrong_instruction: String,
    /// Whether the task had succeeded when the video ended.
    pub succeeded: bool,
    /// The task's true progress in every frame, from 0 to 1.
    pub truth: Vec<f64>,
    /// Frames that may be shown, squeezed already, by number.
    frames: BTreeMap<usize, RgbImage>,
}

impl FrameSource for Filmed {
    fn frame(&self, index: usize) -> Result<Cow<'_, RgbImage>, ScorerError> {
        self.frames
            .get(&index)
            .map(Cow::Borrowed)
            .ok_or_else(|| ScorerError::Frame {
                index,
                reason: format!("it was not kept, of {}", self.truth.len()),
            })
    }
}

impl Episode {
    /// Plays it and films it with the overview camera, `fps` frames per second from the first tick on. Only frames that
    /// `options` can show are rendered.
    ///
    /// # Errors
    /// [`ScorerError::Frame`] for a picture that cannot be squeezed, [`ScorerError::Ask`] for a rate of 0.
    pub fn film(&self, fps: u32, options: &ScorerOptions) -> Result<Filmed, ScorerError> {
        let stride = CONTROL_RATE_HZ / fps.max(1);
        let rate = f64::from(fps);
        let mut play = Demonstration::new(self.seed, self.family, self.behaviour);
        // Drawn apart from the scene.
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(1 + self.family as u64);
        let instruction = play.task().instruction(&mut rng);
        let wrong = play.task().wrong(play.world(), &mut rng);
        let wrong_instruction = wrong.instruction(&mut rng);
        let measure = TaskProgress::new(play.task(), play.world());
        let mut frames = BTreeMap::new();
        let mut truth = Vec::new();
        let mut after = 0;
        loop {
            let index = truth.len();
            truth.push(f64::from(measure.of(play.world())));
            if options.profile.may_show(index, rate) {
                frames.insert(index, picture(play.world(), index, options)?);
            }
            let mut moved = 0;
            while moved < stride && after < AFTERMATH_TICKS && play.step(&mut |target, _| *target) {
                moved += 1;
                after += u32::from(play.succeeded());
            }
            if moved == 0 {
                // The last frame may be shown whatever its number.
                if let std::collections::btree_map::Entry::Vacant(place) = frames.entry(index) {
                    place.insert(picture(play.world(), index, options)?);
                }
                break;
            }
        }
        Ok(Filmed {
            clip: Clip::new(truth.len(), rate)?,
            instruction,
            wrong_instruction,
            succeeded: play.succeeded(),
            truth,
            frames,
        })
    }
}

fn picture(world: &World, index: usize, options: &ScorerOptions) -> Result<RgbImage, ScorerError> {
    let seen = sim::render(world, Camera::Overview);
    RgbImage::new(seen.width, seen.height, seen.rgb)
        .and_then(|frame| match options.pre_resize {
            None => Ok(frame),
            Some(side) => vision::resample_bicubic_u8(&frame, side, side),
        })
        .map_err(|error| ScorerError::Frame {
            index,
            reason: error.to_string(),
        })
}
