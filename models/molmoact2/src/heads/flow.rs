//! Flow matching: Euler integration of the expert's velocity from noise to an action chunk.

use std::sync::{Arc, Mutex, PoisonError};

use burn_tensor::Tensor;

use crate::error::ActError;
use crate::heads::continuation::Steering;
use crate::network::expert::{ChunkExpert, Expert, ExpertContext, StepModulation};

/// Upper bound on Euler steps per chunk. Ten are usual; the integration error falls with their number.
const MAX_STEPS: usize = 1000;

/// Refuses a number of Euler steps above the bound.
pub(crate) fn check_steps(steps: usize) -> Result<(), ActError> {
    if steps > MAX_STEPS {
        return Err(ActError::TooManySteps {
            steps,
            max: MAX_STEPS,
        });
    }
    Ok(())
}

/// The modulations of the expert for the number of steps that was used last.
#[derive(Debug, Default)]
pub(crate) struct ModulationCache {
    last: Mutex<Option<Modulations>>,
}

/// Modulations of the expert for one number of steps.
#[derive(Debug)]
struct Modulations {
    steps: usize,
    rows: Arc<Vec<StepModulation>>,
}

impl ModulationCache {
    /// The modulations of `steps` Euler steps.
    pub(crate) fn get(
        &self,
        expert: &Expert,
        steps: usize,
    ) -> Result<Arc<Vec<StepModulation>>, ActError> {
        check_steps(steps)?;
        // The cache holds nothing that a panic elsewhere could leave half-written.
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = last.as_ref().filter(|last| last.steps == steps) {
            return Ok(last.rows.clone());
        }
        let rows = Arc::new(expert.modulations(steps));
        *last = Some(Modulations {
            steps,
            rows: rows.clone(),
        });
        Ok(rows)
    }
}

/// Sampled chunks, and the velocities on request.
#[derive(Debug)]
pub struct Flow {
    /// `[chunks * rows, dims]`, normalized, not clipped.
    pub chunk: Tensor<2>,
    /// Velocity of each step after steering, `[chunks * rows, dims]`; empty unless requested.
    pub velocities: Vec<Tensor<2>>,
}

/// Takes one Euler step per modulation: time 0 is noise, time 1 the chunk, `x += v / steps`.
///
/// - `noise`: `[chunks * rows, dims]`.
/// - `steering`: correction towards running chunks, if there are any.
pub fn integrate(
    expert: &ChunkExpert<'_>,
    context: &ExpertContext,
    modulations: &[StepModulation],
    noise: Tensor<2>,
    steering: Option<&Steering>,
    keep_velocities: bool,
) -> Flow {
    let step_size = 1.0 / modulations.len().max(1) as f64;
    let mut chunk = noise;
    let mut velocities = Vec::new();
    for (step, modulation) in modulations.iter().enumerate() {
        let mut velocity = expert.velocity(chunk.clone(), modulation, context);
        if let Some(steering) = steering {
            velocity = steering.apply(chunk.clone(), velocity, step as f64 * step_size);
        }
        if keep_velocities {
            velocities.push(velocity.clone());
        }
        chunk = chunk + velocity * step_size;
    }
    Flow { chunk, velocities }
}

/// Flags of the prompt tokens that the expert may attend to.
///
/// For checkpoints that were trained on both heads (`both`), tokens that could reveal the discrete answer are
/// hidden: the end-of-text token, which also begins every prompt, and each span from `action_start` to
/// `action_end`, or to the end of the prompt if it is not closed.
pub fn visible_tokens(
    ids: &[u32],
    both: bool,
    end_of_text: Option<u32>,
    action_start: Option<u32>,
    action_end: Option<u32>,
) -> Vec<bool> {
    if !both {
        return vec![true; ids.len()];
    }
    let mut visible: Vec<bool> = ids.iter().map(|&id| Some(id) != end_of_text).collect();
    let (Some(start), Some(end)) = (action_start, action_end) else {
        return visible;
    };
    let places = |wanted: u32| {
        ids.iter()
            .enumerate()
            .filter(move |&(_, &id)| id == wanted)
            .map(|(place, _)| place)
    };
    let mut ends = places(end).peekable();
    for first in places(start) {
        while ends.next_if(|&last| last < first).is_some() {}
        let last = ends.next();
        let hidden = last.map_or(ids.len(), |last| last + 1);
        for slot in visible.iter_mut().take(hidden).skip(first) {
            *slot = false;
        }
        if last.is_none() {
            break;
        }
    }
    visible
}

#[cfg(test)]
mod tests {
    use super::visible_tokens;

    fn hidden(ids: &[u32]) -> Vec<usize> {
        visible_tokens(ids, true, Some(0), Some(8), Some(9))
            .iter()
            .enumerate()
            .filter(|(_, visible)| !**visible)
            .map(|(place, _)| place)
            .collect()
    }

    #[test]
    fn the_end_of_text_token_is_hidden_wherever_it_stands() {
        assert_eq!(hidden(&[0, 1, 2, 0, 3]), [0, 3]);
    }

    #[test]
    fn an_answer_is_hidden_with_both_its_ends() {
        assert_eq!(hidden(&[1, 8, 5, 9, 2]), [1, 2, 3]);
        assert_eq!(hidden(&[9, 8, 5, 5]), [1, 2, 3]);
    }

    #[test]
    fn without_a_token_head_everything_is_visible() {
        assert_eq!(
            visible_tokens(&[0, 8, 9], false, Some(0), Some(8), Some(9)),
            [true; 3]
        );
    }
}
