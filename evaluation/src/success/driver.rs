//! Where an episode's next target comes from: chunks that arrive late, as on a real robot.
//!
//! The simulated clock stands still while the policy computes, so the latency is simulated: a chunk asked for at
//! tick `t` is there at `t` + latency, and until then the one before goes on. Row `k` of a chunk belongs to tick
//! `t + k`, as it does for a robot that is served (`protocol/README.md`).

use super::{
    Condition,
    chunk_boundary::Seams,
    rules::{Episode, Rules},
};
use policies::{
    ActRequest, Policy, PolicyError,
    chunking::{
        Chunking,
        committed::{Committed, Running},
    },
};
use protocol::Mode;
use sim::{JointVector, World};
use vision::RgbImage;

/// A chunk with its place in time.
struct Chunk {
    running: Running,
    rows: Vec<JointVector>,
    /// Tick of its first row.
    asked_at: u64,
    /// Tick from which it is followed.
    arrives_at: u64,
}

impl Chunk {
    fn row(&self, tick: u64) -> Option<&JointVector> {
        let row = usize::try_from(tick.checked_sub(self.asked_at)?).ok()?;
        self.rows.get(row)
    }
}

/// Drives one episode.
pub(super) struct Driver<'a> {
    rules: &'a Rules,
    sentence: &'a str,
    mode: Option<Mode>,
    seed: u64,
    /// One for each episode, so that nothing is remembered from one to the next.
    robot: u64,
    current: Option<Chunk>,
    coming: Option<Chunk>,
    /// Where the arm is kept while it has nothing to follow.
    hold_at: Option<JointVector>,
    /// What happened where chunks met.
    pub(super) seams: Seams,
}

impl<'a> Driver<'a> {
    pub(super) fn new(episode: &Episode, rules: &'a Rules, sentence: &'a str) -> Self {
        Self {
            rules,
            sentence,
            mode: match episode.condition {
                Condition::Policy(mode) => Some(mode.into()),
                Condition::WrongInstruction => Some(rules.control_mode),
                Condition::MeanAction => None,
            },
            seed: episode.seed,
            robot: robot(episode, sentence),
            current: None,
            coming: None,
            hold_at: None,
            seams: Seams::default(),
        }
    }

    pub(super) fn target(
        &mut self,
        world: &World,
        actor: &mut dyn Policy,
    ) -> Result<JointVector, PolicyError> {
        let Some(mode) = self.mode else {
            return Ok(self.rules.mean_action.unwrap_or_else(|| world.state()));
        };
        let tick = world.tick();
        let every = self.rules.n_action_steps as u64;
        let newest = self.coming.as_ref().or(self.current.as_ref());
        // One question at a time, as the studio does it for a robot.
        let is_due = newest.is_none_or(|chunk| {
            tick >= chunk.asked_at.saturating_add(every) && tick >= chunk.arrives_at
        });
        let mut before = self.take_over(tick);
        if is_due {
            self.coming = Some(self.ask(world, actor, mode)?);
            before = self.take_over(tick).or(before);
        }
        match self.current.as_ref().and_then(|chunk| chunk.row(tick)) {
            Some(target) => {
                self.hold_at = None;
                self.seams.commanded(target, before.as_ref());
                Ok(*target)
            }
            None => {
                self.seams.held();
                Ok(*self.hold_at.get_or_insert_with(|| world.state()))
            }
        }
    }

    /// Follows the chunk that has arrived, if one has; what the one before had for this tick.
    fn take_over(&mut self, tick: u64) -> Option<JointVector> {
        let arrived = self.coming.take_if(|chunk| tick >= chunk.arrives_at)?;
        let before = self.current.replace(arrived)?;
        before.row(tick).copied()
    }

    fn committed(&self, tick: u64, mode: Mode) -> Option<Committed> {
        if self.rules.chunking == Chunking::Plain || mode == Mode::Discrete {
            return None;
        }
        let running = self.current.as_ref()?;
        let first = usize::try_from(tick.checked_sub(running.asked_at)?).ok()?;
        running
            .running
            .committed(first, self.rules.assumed_latency_ticks, true)
    }

    fn ask(&self, world: &World, actor: &mut dyn Policy, mode: Mode) -> Result<Chunk, PolicyError> {
        let images = self
            .rules
            .cameras
            .iter()
            .map(|camera| {
                let picture = sim::render(world, *camera);
                RgbImage::new(picture.width, picture.height, picture.rgb)
                    .map_err(|error| PolicyError::new(error.to_string()))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let asked_at = world.tick();
        let committed = self.committed(asked_at, mode);
        let mut acted = actor.act(&ActRequest {
            robot: self.robot,
            tag: &self.rules.tag,
            images: &images,
            state: &world.state(),
            instruction: self.sentence,
            mode,
            seed: noise_seed(self.seed, asked_at),
            continuation: committed.as_ref().map(Committed::continuation),
        })?;
        if let Some(committed) = &committed {
            committed.freeze(&mut acted);
        }
        let rows = acted
            .actions
            .chunks_exact(acted.dims.max(1))
            .map(JointVector::try_from)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| {
                PolicyError::new(format!("the policy returned rows of {} values", acted.dims))
            })?;
        if rows.is_empty() {
            return Err(PolicyError::new("the policy returned a chunk without rows"));
        }
        Ok(Chunk {
            running: Running::of(&acted),
            rows,
            asked_at,
            arrives_at: asked_at + self.rules.latency_ticks as u64,
        })
    }
}

/// Fresh noise for every chunk, as the policy was trained and is published to be run, and the same noise again
/// when the episode is repeated.
fn noise_seed(episode: u64, tick: u64) -> u64 {
    episode.wrapping_mul(1 << 20).wrapping_add(tick)
}

/// The same episode is the same robot, any other one another.
fn robot(episode: &Episode, sentence: &str) -> u64 {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let mut hasher = DefaultHasher::new();
    (episode.seed, sentence, format!("{:?}", episode.condition)).hash(&mut hasher);
    hasher.finish()
}
