//! What `score` prints.

use serde::Serialize;
use std::fmt;
use topreward::Score;

/// A score and everything that it depends on.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// Name of the checkpoint's folder.
    pub(super) scorer: String,
    pub(super) device: String,
    pub(super) dtype: String,
    pub(super) text_layout: &'static str,
    /// Side of the square that frames were squeezed to (pixels).
    pub(super) pre_resize: Option<usize>,
    /// Time that scoring took, without loading (s).
    pub(super) secs: f64,
    #[serde(flatten)]
    pub(super) score: Score,
    /// What the model said of each prefix, where it was asked to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) descriptions: Option<Vec<String>>,
}

/// Width of a full bar.
const BAR: usize = 24;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Score {
            config,
            curve,
            static_voc,
            static_log_probs,
            static_success_score,
            controls,
            ..
        } = &self.score;
        writeln!(f, "\"{}\"", config.instruction)?;
        writeln!(
            f,
            "{} on {}, profile {}, {} frames at {} per second",
            self.scorer, self.device, config.profile, config.frames, config.fps
        )?;
        writeln!(
            f,
            "\n{:>7} {:>9} {:>10} {:>10}  progress",
            "frames", "seconds", "ln p(True)", "frozen"
        )?;
        let rows = config
            .prefix_lengths
            .iter()
            .zip(&curve.log_probs)
            .zip(static_log_probs)
            .zip(&curve.progress);
        for (((length, log_prob), frozen), progress) in rows {
            let seconds = *length as f64 / config.fps;
            let bar = "#".repeat((progress * BAR as f64).round() as usize);
            writeln!(
                f,
                "{length:7} {seconds:9.2} {log_prob:10.4} {frozen:10.4}  {progress:5.3} {bar}"
            )?;
        }
        writeln!(f, "\n{:44} {:>8} {:>10}", "", "VOC", "success")?;
        line(f, "the instruction", curve.voc, curve.success_score)?;
        line(
            f,
            "first frame held (should be about 0)",
            *static_voc,
            *static_success_score,
        )?;
        for control in controls {
            let name = format!("\"{}\"", control.asked.instruction);
            line(f, &name, control.curve.voc, control.curve.success_score)?;
        }
        if let Some(last) = self.descriptions.as_ref().and_then(|all| all.last()) {
            writeln!(f, "\nof the whole video the model said: {last}")?;
        }
        if self.score.rises_when_frozen() {
            writeln!(
                f,
                "\nThe frozen frame rises as the video does: this curve shows the number of images, not progress."
            )?;
        }
        writeln!(f, "\nscored in {:.2} s", self.secs)
    }
}

fn line(f: &mut fmt::Formatter<'_>, name: &str, voc: Option<f64>, success: f64) -> fmt::Result {
    let name: String = name.chars().take(44).collect();
    match voc {
        Some(voc) => writeln!(f, "{name:44} {voc:8.3} {success:10.4}"),
        None => writeln!(f, "{name:44} {:>8} {success:10.4}", "none"),
    }
}
