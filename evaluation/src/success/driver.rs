//! Source of an episode's targets: chunks that arrive late, as on a real robot.
//!
//! The simulated clock stops while the policy computes, so the latency is simulated: a chunk requested at tick `t`
//! arrives at `t` + latency, and until then the previous chunk continues. Row `k` of a chunk belongs to tick `t + k`,
//! as for a connected robot (`protocol/README.md`).

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

/// A chunk with its ticks.
struct Chunk {
    running: Running,
    rows: Vec<JointVector>,
    /// Tick of its observation and first row.
    requested_at: u64,
    /// Tick from which it is executed.
    arrives_at: u64,
}

impl Chunk {
    fn row(&self, tick: u64) -> Option<&JointVector> {
        let row = usize::try_from(tick.checked_sub(self.requested_at)?).ok()?;
        self.rows.get(row)
    }
}

/// Drives one episode.
pub(super) struct Driver<'a> {
    rules: &'a Rules,
    instruction: &'a str,
    mode: Option<Mode>,
    seed: u64,
    /// Robot id, unique per episode, so that the policy keeps no state from one episode to the next.
    robot: u64,
    current: Option<Chunk>,
    pending: Option<Chunk>,
    /// Pose held while there is no target.
    hold_at: Option<JointVector>,
    /// Statistics at chunk boundaries.
    pub(super) seams: Seams,
}

impl<'a> Driver<'a> {
    pub(super) fn new(episode: &Episode, rules: &'a Rules, instruction: &'a str) -> Self {
        Self {
            rules,
            instruction,
            mode: match episode.condition {
                Condition::Policy(mode) => Some(mode.into()),
                Condition::WrongInstruction => Some(rules.control_mode),
                Condition::MeanAction => None,
            },
            seed: episode.seed,
            robot: robot(episode, instruction),
            current: None,
            pending: None,
            hold_at: None,
            seams: Seams::default(),
        }
    }

    pub(super) fn target(
        &mut self,
        world: &World,
        policy: &mut dyn Policy,
    ) -> Result<JointVector, PolicyError> {
        let Some(mode) = self.mode else {
            return Ok(self.rules.mean_action.unwrap_or_else(|| world.state()));
        };
        let tick = world.tick();
        let every = self.rules.n_action_steps as u64;
        let newest = self.pending.as_ref().or(self.current.as_ref());
        // One request at a time, as the studio does for a robot.
        let is_due = newest.is_none_or(|chunk| {
            tick >= chunk.requested_at.saturating_add(every) && tick >= chunk.arrives_at
        });
        let mut before = self.take_over(tick);
        if is_due {
            self.pending = Some(self.request(world, policy, mode)?);
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

    /// Switches to the pending chunk if it has arrived. Returns the previous chunk's target for this tick, if both
    /// exist.
    fn take_over(&mut self, tick: u64) -> Option<JointVector> {
        let arrived = self.pending.take_if(|chunk| tick >= chunk.arrives_at)?;
        let before = self.current.replace(arrived)?;
        before.row(tick).copied()
    }

    fn committed(&self, tick: u64, mode: Mode) -> Option<Committed> {
        if self.rules.chunking == Chunking::Plain || mode == Mode::Discrete {
            return None;
        }
        let running = self.current.as_ref()?;
        let first = usize::try_from(tick.checked_sub(running.requested_at)?).ok()?;
        running
            .running
            .committed(first, self.rules.assumed_latency_ticks, true)
    }

    fn request(
        &self,
        world: &World,
        policy: &mut dyn Policy,
        mode: Mode,
    ) -> Result<Chunk, PolicyError> {
        let images = self
            .rules
            .cameras
            .iter()
            .map(|camera| {
                let rendered = sim::render(world, *camera);
                RgbImage::new(rendered.width, rendered.height, rendered.rgb)
                    .map_err(|error| PolicyError::new(error.to_string()))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let requested_at = world.tick();
        let committed = self.committed(requested_at, mode);
        let mut output = policy.act(&ActRequest {
            robot: self.robot,
            tag: &self.rules.tag,
            images: &images,
            state: &world.state(),
            instruction: self.instruction,
            mode,
            seed: noise_seed(self.seed, requested_at),
            continuation: committed.as_ref().map(Committed::continuation),
        })?;
        if let Some(committed) = &committed {
            committed.freeze(&mut output);
        }
        let rows = output
            .actions
            .chunks_exact(output.dims.max(1))
            .map(JointVector::try_from)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| {
                PolicyError::new(format!(
                    "the policy returned rows of {} values",
                    output.dims
                ))
            })?;
        if rows.is_empty() {
            return Err(PolicyError::new("the policy returned a chunk without rows"));
        }
        Ok(Chunk {
            running: Running::of(&output),
            rows,
            requested_at,
            arrives_at: requested_at + self.rules.latency_ticks as u64,
        })
    }
}

/// Noise seed of a chunk: different for every chunk, as the policy was trained and is meant to run, and the same when
/// the episode is repeated.
fn noise_seed(episode: u64, tick: u64) -> u64 {
    episode.wrapping_mul(1 << 20).wrapping_add(tick)
}

/// Robot id of an episode: equal for equal episodes, otherwise different.
fn robot(episode: &Episode, instruction: &str) -> u64 {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let mut hasher = DefaultHasher::new();
    (
        episode.seed,
        instruction,
        format!("{:?}", episode.condition),
    )
        .hash(&mut hasher);
    hasher.finish()
}
