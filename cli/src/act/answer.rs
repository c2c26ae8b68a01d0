//! Printed result of `act`.

use molmoact2::Action;
use serde::Serialize;
use std::fmt;

#[derive(Debug, Serialize)]
pub(super) struct Answer {
    /// Rows of the complete chunk.
    rows: usize,
    dims: usize,
    /// Rows of it to execute.
    n_action_steps: usize,
    /// The rows to execute, in robot units, as in the dump.
    actions: Vec<Vec<f32>>,
    /// The complete chunk in robot units.
    chunk: Vec<Vec<f32>>,
    /// The complete chunk before clipping, in normalized units.
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
    /// Writes the map row by row, with reused cells in brackets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let generated = self
            .regenerated
            .iter()
            .filter(|generated| **generated)
            .count();
        writeln!(
            f,
            "depth: {generated} of {} codes generated, {} passes",
            self.codes.len(),
            self.forwards
        )?;
        let side = self.codes.len().isqrt();
        let cells: Vec<String> = self
            .codes
            .iter()
            .zip(&self.regenerated)
            .map(|(code, generated)| {
                if *generated {
                    format!(" {code:3} ")
                } else {
                    format!("[{code:3}]")
                }
            })
            .collect();
        // A map that the model generated freely may not be square.
        let per_line = if side * side == cells.len() { side } else { 10 };
        for line in cells.chunks(per_line.max(1)) {
            writeln!(f, "  {}", line.concat())?;
        }
        Ok(())
    }
}
