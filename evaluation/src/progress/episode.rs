//! One episode as a video, with the true progress.

use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use sim::{Behavior, CONTROL_RATE_HZ, Camera, Demonstration, TaskFamily, TaskProgress, World};
use std::{borrow::Cow, collections::BTreeMap};
use topreward::{
    Clip,
    scorer::{FrameSource, ScorerError, ScorerOptions},
};
use vision::RgbImage;

/// Ticks from the success to the end of a solved episode. They give one more frame at two frames per second.
const AFTERMATH_TICKS: u32 = CONTROL_RATE_HZ / 2;

/// Parameters of an episode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Episode {
    /// Family of the task.
    pub family: TaskFamily,
    /// Behavior of the arm.
    pub behaviour: Behavior,
    /// Seed of the scene, the task and the wordings.
    pub seed: u64,
}

/// Video of an episode.
#[derive(Debug)]
pub struct Filmed {
    /// Length and frame rate.
    pub clip: Clip,
    /// Instruction of the robot.
    pub instruction: String,
    /// Instruction of another task over the same scene, which succeeds only if the first one does not.
    pub wrong_instruction: String,
    /// True if the task had succeeded by the end of the video.
    pub succeeded: bool,
    /// The task's true progress in every frame, from 0 to 1.
    pub truth: Vec<f64>,
    /// Frames that the scorer may read, resized, by number.
    frames: BTreeMap<usize, RgbImage>,
}

impl FrameSource for Filmed {
    fn frame(&self, index: usize) -> Result<Cow<'_, RgbImage>, ScorerError> {
        self.frames
            .get(&index)
            .map(Cow::Borrowed)
            .ok_or_else(|| ScorerError::Frame {
                index,
                reason: format!("it was not rendered, of {}", self.truth.len()),
            })
    }
}

impl Episode {
    /// Plays the episode and records it with the overview camera, at `fps` frames per second from the first tick. Only
    /// the frames that `options` can use are rendered.
    ///
    /// # Errors
    /// [`ScorerError::Frame`] for an image that cannot be resized, [`ScorerError::Ask`] for a rate of 0.
    pub fn film(&self, fps: u32, options: &ScorerOptions) -> Result<Filmed, ScorerError> {
        let stride = CONTROL_RATE_HZ / fps.max(1);
        let rate = f64::from(fps);
        let mut play = Demonstration::new(self.seed, self.family, self.behaviour);
        // A random stream independent of that of the scene.
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
                frames.insert(index, image(play.world(), index, options)?);
            }
            let mut moved = 0;
            while moved < stride && after < AFTERMATH_TICKS && play.step(&mut |target, _| *target) {
                moved += 1;
                after += u32::from(play.succeeded());
            }
            if moved == 0 {
                // The last frame may be read whatever its number.
                if let std::collections::btree_map::Entry::Vacant(vacant) = frames.entry(index) {
                    vacant.insert(image(play.world(), index, options)?);
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

fn image(world: &World, index: usize, options: &ScorerOptions) -> Result<RgbImage, ScorerError> {
    let rendered = sim::render(world, Camera::Overview);
    RgbImage::new(rendered.width, rendered.height, rendered.rgb)
        .and_then(|frame| match options.pre_resize {
            None => Ok(frame),
            Some(side) => vision::resample_bicubic_u8(&frame, side, side),
        })
        .map_err(|error| ScorerError::Frame {
            index,
            reason: error.to_string(),
        })
}
