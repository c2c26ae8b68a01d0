//! `inspect`: description of a checkpoint.

use anyhow::anyhow;
use clap::Args;
use molmoact2::{
    Files,
    inspect::{Inspection, Memory, TagInspection, inspect},
    tensors::Part,
};
use policies::molmoact2_policy::advice;
use serde::Serialize;
use std::{fmt, path::PathBuf, process::ExitCode};

/// Number of printed names of a long list; --json has all.
const SHOWN: usize = 8;

/// Describe a checkpoint: its kind, its robots, the memory it needs, and what it lacks. Only headers are read. Exit status
/// 1 if it cannot be loaded.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  policy-studio inspect ~/checkpoints/MolmoAct2-LIBERO
  policy-studio inspect ~/checkpoints/MolmoAct2-LIBERO-LeRobot --base ~/checkpoints/MolmoAct2-LIBERO
  policy-studio inspect ~/checkpoints/MolmoAct2 --json")]
pub(super) struct Inspect {
    /// The checkpoint's folder, in the Hugging Face layout or in LeRobot's.
    folder: PathBuf,
    /// The checkpoint that a LeRobot folder was made from.
    #[arg(long, value_name = "DIR")]
    base: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// An inspection for printing.
#[derive(Debug, Serialize)]
struct Findings {
    complete: bool,
    #[serde(flatten)]
    found: Inspection,
}

impl Inspect {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let mut files = Files::open_dir(&self.folder)?;
        if let Some(base) = &self.base {
            files = files.with_base(Files::open_dir(base)?);
        }
        let found = inspect(&files).map_err(|error| {
            let advice = advice(&error);
            anyhow!("cannot inspect {}: {error}{advice}", self.folder.display())
        })?;
        let findings = Findings {
            complete: found.is_complete(),
            found,
        };
        super::print(&findings, self.json)?;
        Ok(if findings.complete {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

/// A number of bytes in a readable unit.
fn bytes(count: u64) -> String {
    let count = count as f64;
    if count < 1e6 {
        format!("{:.1} kB", count / 1e3)
    } else if count < 1e9 {
        format!("{:.1} MB", count / 1e6)
    } else {
        format!("{:.2} GB", count / 1e9)
    }
}

/// A number with a space between thousands.
fn thousands(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

fn part_name(part: Part) -> &'static str {
    match part {
        Part::Embeddings => "embeddings",
        Part::LanguageModel => "language model",
        Part::Vision => "vision tower",
        Part::Pooling => "pooling",
        Part::Projector => "projector",
        Part::Expert => "action expert",
        Part::Head => "output head",
    }
}

fn list(f: &mut fmt::Formatter<'_>, title: &str, names: &[String]) -> fmt::Result {
    if names.is_empty() {
        return Ok(());
    }
    writeln!(f, "\n{title}: {}", names.len())?;
    for name in names.iter().take(SHOWN) {
        writeln!(f, "  {name}")?;
    }
    if names.len() > SHOWN {
        writeln!(f, "  and {} more", names.len() - SHOWN)?;
    }
    Ok(())
}

fn tag(f: &mut fmt::Formatter<'_>, tag: &TagInspection) -> fmt::Result {
    writeln!(f, "\ntag {}", tag.tag)?;
    writeln!(f, "  cameras    {}", tag.cameras.join(", "))?;
    if !tag.cameras_alternative.is_empty() {
        writeln!(f, "             or {}", tag.cameras_alternative.join(", "))?;
    }
    writeln!(
        f,
        "  state      {} values, action {} values",
        tag.state_dim, tag.action_dim
    )?;
    writeln!(
        f,
        "  chunk      {} rows, {} to execute",
        tag.horizon, tag.n_action_steps
    )?;
    writeln!(f, "  setup      {}", tag.setup)?;
    writeln!(f, "  control    {}", tag.control_mode)?;
    let mode = serde_json::to_value(tag.norm_mode).unwrap_or_default();
    write!(f, "  scaled by  {}", mode.as_str().unwrap_or_default())?;
    if !tag.unscaled.is_empty() {
        let dims: Vec<String> = tag.unscaled.iter().map(ToString::to_string).collect();
        write!(f, "; not scaled: action dimension {}", dims.join(", "))?;
    }
    writeln!(f)?;
    if tag.calibrated {
        writeln!(f, "  its joint signs or offsets differ from the robot's")?;
    }
    Ok(())
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = &self.found;
        writeln!(f, "{}: {}", found.name, found.summary)?;
        writeln!(
            f,
            "layout     {}, {} tensors of {} in {} files, {}",
            found.layout,
            found.tensors,
            found.dtype,
            found.files.len(),
            bytes(found.bytes)
        )?;
        let modes: Vec<String> = found.modes.iter().map(ToString::to_string).collect();
        if !modes.is_empty() {
            writeln!(
                f,
                "answers    {}; {} flow steps, up to {} rows of {} columns, {} positions",
                modes.join(", "),
                found.flow_steps,
                found.max_horizon,
                found.max_action_dim,
                found.max_positions
            )?;
        }
        if let Some(reason) = &found.no_discrete {
            writeln!(f, "           no discrete mode: {reason}")?;
        }
        if let Some(reason) = &found.no_answers {
            writeln!(f, "           no answers to questions: {reason}")?;
        }
        for found in &found.tags {
            tag(f, found)?;
        }
        writeln!(f, "\nparameters {:>16}", thousands(found.parameters))?;
        for (part, count) in &found.parts {
            writeln!(f, "  {:14} {:>13}", part_name(*part), thousands(*count))?;
        }
        writeln!(
            f,
            "\n--dtype    weights      peak on the CPU   peak beside a GPU"
        )?;
        for Memory {
            precision,
            weights,
            peak_on_cpu,
            peak_beside_gpu,
        } in &found.memory
        {
            writeln!(
                f,
                "  {:8} {:>9}          {:>9}           {:>9}",
                precision.name(),
                bytes(*weights),
                bytes(*peak_on_cpu),
                bytes(*peak_beside_gpu)
            )?;
        }
        list(f, "missing tensors", &found.missing)?;
        list(f, "tensors of another shape", &found.misshapen)?;
        list(f, "unexpected tensors", &found.unexpected)?;
        list(
            f,
            "unknown keys of config.json, all switched off",
            &found.unknown_keys,
        )?;
        list(f, "robots that it cannot drive", &found.unusable_tags)?;
        list(f, "files that were passed over", &found.notes)?;
        list(f, "problems", &found.problems)?;
        writeln!(
            f,
            "\n{}",
            if self.complete {
                "complete, as far as the headers show"
            } else {
                "it cannot be loaded in this state"
            }
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{bytes, thousands};

    #[test]
    fn numbers_are_readable() {
        assert_eq!(thousands(5_442_196_208), "5 442 196 208");
        assert_eq!(thousands(12), "12");
        assert_eq!(thousands(123_456), "123 456");
        assert_eq!(bytes(1_234), "1.2 kB");
        assert_eq!(bytes(10_884_392_416), "10.88 GB");
    }
}
