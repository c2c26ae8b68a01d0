//! What `act` prints.

use molmoact2::Action;
use serde::Serialize;
use std::fmt;

#[derive(Debug, Serialize)]
pub(super) struct Answer {
    /// Rows of the whole chunk.
    rows: usize,
    dims: usize,
    /// Rows of it that are meant to be executed.
    n_action_steps: usize,
    /// Those rows in robot units, as in the dump.
    actions: Vec<Vec<f32>>,
    /// The whole chunk in robot units.
    chunk: Vec<Vec<f32>>,
    /// The same before clipping and in normalised units.
    chunk_normalised: Vec<Vec<f32>>,
    action_tokens: Vec<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    generated_ids: Vec<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    depth: Option<DepthAnswer>,
    prompt: String,
    prompt_tokens: usize,
    stages: Vec<protocol::Stage>,
}

#[derive(Debug, Serialize)]
struct DepthAnswer {
    codes: Vec<u32>,
    regenerated: Vec<bool>,
    similarity: Option<Vec<f32>>,
    forwards: usize,
}

impl From<Action> for Answer {
    fn from(action: Action) -> Self {
        let dims = action.dims;
        let rows = |values: &[f32]| -> Vec<Vec<f32>> {
            values.chunks(dims.max(1)).map(<[f32]>::to_vec).collect()
        };
        Self {
            rows: action.horizon,
            dims,
            n_action_steps: action.rows,
            actions: rows(&action.actions),
            chunk: rows(&action.chunk),
            chunk_normalised: rows(&action.chunk_normalized),
            action_tokens: action.action_tokens,
            generated_ids: action.generated_ids,
            depth: action.depth.map(|trace| DepthAnswer {
                codes: trace.codes,
                regenerated: trace.regenerated,
                similarity: trace.similarity,
                forwards: trace.forwards,
            }),
            prompt_tokens: action.prompt_ids.len(),
            prompt: action.prompt,
            stages: action
                .stages
                .iter()
                .map(|stage| protocol::Stage {
                    name: stage.name.to_owned(),
                    micros: stage.micros,
                })
                .collect(),
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (k, row) in self.chunk.iter().enumerate() {
            let values: Vec<String> = row.iter().map(|value| format!("{value:9.3}")).collect();
            writeln!(f, "{k:3} {}", values.join(" "))?;
        }
        if let Some(depth) = &self.depth {
            write!(f, "{depth}")?;
        }
        let times: Vec<String> = self
            .stages
            .iter()
            .map(|stage| format!("{} {:.1} ms", stage.name, stage.micros as f64 / 1e3))
            .collect();
        writeln!(f, "{}", times.join(", "))
    }
}

impl fmt::Display for DepthAnswer {
    /// The map row by row; cells that were taken over in brackets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let written = self.regenerated.iter().filter(|written| **written).count();
        writeln!(
            f,
            "depth: {written} of {} codes written anew, {} passes",
            self.codes.len(),
            self.forwards
        )?;
        let side = self.codes.len().isqrt();
        let cells: Vec<String> = self
            .codes
            .iter()
            .zip(&self.regenerated)
            .map(|(code, written)| {
                if *written {
                    format!(" {code:3} ")
                } else {
                    format!("[{code:3}]")
                }
            })
            .collect();
        // What the model wrote freely may be no square.
        let per_line = if side * side == cells.len() { side } else { 10 };
        for line in cells.chunks(per_line.max(1)) {
            writeln!(f, "  {}", line.concat())?;
        }
        Ok(())
    }
}
