//! `ask`: a question about images, answered by a vision-language model.

use super::policy::PolicyArguments;
use anyhow::bail;
use clap::Args;
use datasets::images;
use molmoact2::{
    AskOptions, FinishReason, Reply,
    grounding::{BoundingBox, Markup, Point, Shapes},
};
use serde::Serialize;
use std::{
    io::Write as _,
    ops::ControlFlow,
    path::{Path, PathBuf},
    process::ExitCode,
};
use vision::RgbImage;

mod draw;

/// Ask a vision-language model about images; points and boxes in its answer are printed in pixels.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  policy-studio ask --policy ~/checkpoints/Molmo2-ER --image desk.jpg \"Point to the mug handle.\"
  policy-studio ask --policy ~/checkpoints/Molmo2-ER --image left.png --image right.png --json \\
      \"Which of the two images shows the open drawer?\"
  policy-studio ask --policy ~/checkpoints/Molmo2-ER --image desk.jpg --draw marked.png \\
      \"Detect all objects.\"")]
pub(super) struct Ask {
    #[command(flatten)]
    policy: PolicyArguments,
    /// An image (PNG or JPEG), rotated by its orientation tag; once per image, in the order of the question.
    #[arg(long = "image", value_name = "FILE")]
    images: Vec<PathBuf>,
    /// The question.
    question: String,
    /// Largest number of tokens of the answer.
    #[arg(long, value_name = "N", default_value_t = 512)]
    max_tokens: usize,
    /// Sampling temperature; 0 always takes the likeliest token.
    #[arg(long, value_name = "T", default_value_t = 0.0)]
    temperature: f32,
    /// Sample only among the likeliest tokens that together have this probability.
    #[arg(long, value_name = "P", default_value_t = 1.0)]
    top_p: f32,
    /// Seed of the sampling.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Write the image with the answer's points and boxes drawn on it; further images get a number in their name.
    #[arg(long, value_name = "FILE")]
    draw: Option<PathBuf>,
    /// Print one JSON object instead of streaming the answer.
    #[arg(long)]
    json: bool,
}

/// A mark with its label.
#[derive(Debug, Serialize)]
struct Labelled<'a, T> {
    label: &'a str,
    #[serde(flatten)]
    mark: T,
}

#[derive(Debug, Serialize)]
struct Image<'a> {
    file: &'a Path,
    width: usize,
    height: usize,
}

#[derive(Debug, Serialize)]
struct Answer<'a> {
    /// The model's text.
    text: &'a str,
    /// The text with its markup replaced by the labels.
    plain: String,
    ids: &'a [u32],
    ended: FinishReason,
    /// In pixels of the images after rotation by their orientation tags.
    points: Vec<Labelled<'a, Point>>,
    /// In pixels of the images after rotation by their orientation tags.
    boxes: Vec<Labelled<'a, BoundingBox>>,
    images: Vec<Image<'a>>,
    prompt: &'a str,
    prompt_tokens: usize,
    stages: &'a [molmoact2::Stage],
}

impl Ask {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        if self.draw.is_some() && self.images.is_empty() {
            bail!("--draw needs an --image to draw on");
        }
        let images = images::read_all(self.images.iter().map(PathBuf::as_path))?;
        let folder = self.policy.question_model()?;
        let chosen = self.policy.device()?;
        let vlm = self.policy.load_vlm(folder, &chosen)?;
        let options = AskOptions {
            max_tokens: self.max_tokens,
            temperature: self.temperature,
            top_p: self.top_p,
            seed: self.seed,
            dumps: false,
        };
        let reply = vlm.ask(&self.question, &images, &options, &mut |piece| {
            if self.json {
                return ControlFlow::Continue(());
            }
            let mut out = std::io::stdout();
            // A closed standard output ends the answer.
            match out.write_all(piece.as_bytes()).and_then(|()| out.flush()) {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            }
        })?;
        if let Some(path) = &self.draw {
            for (index, image) in images.iter().enumerate() {
                draw::write(image, index, &reply.marks, &numbered(path, index))?;
            }
        }
        self.report(&reply, &images)?;
        Ok(ExitCode::SUCCESS)
    }

    fn report(&self, reply: &Reply, images: &[RgbImage]) -> anyhow::Result<()> {
        let (points, boxes) = labelled(&reply.marks);
        if self.json {
            let answer = Answer {
                text: &reply.text,
                plain: molmoact2::grounding::plain(&reply.text, &reply.marks),
                ids: &reply.ids,
                ended: reply.finish_reason,
                points,
                boxes,
                images: self
                    .images
                    .iter()
                    .zip(images)
                    .map(|(file, image)| Image {
                        file,
                        width: image.width(),
                        height: image.height(),
                    })
                    .collect(),
                prompt: &reply.prompt,
                prompt_tokens: reply.prompt_ids.len(),
                stages: &reply.stages,
            };
            println!("{}", serde_json::to_string_pretty(&answer)?);
            return Ok(());
        }
        println!();
        let name = |image: usize| {
            self.images
                .get(image)
                .map(|file| file.display().to_string())
                .unwrap_or_default()
        };
        for Labelled { label, mark } in points {
            let Point { image, id, x, y } = mark;
            eprintln!(
                "point {id} {label:?} at {x:.1}, {y:.1} px in {}",
                name(image)
            );
        }
        for Labelled { label, mark } in boxes {
            eprintln!(
                "box {} {label:?} from {:.1}, {:.1} to {:.1}, {:.1} px in {}",
                mark.id,
                mark.left,
                mark.top,
                mark.right,
                mark.bottom,
                name(mark.image)
            );
        }
        match reply.finish_reason {
            FinishReason::EndOfText | FinishReason::Stopped => {}
            FinishReason::MaxTokens => {
                eprintln!("cut off after {} tokens (--max-tokens)", reply.ids.len());
            }
            FinishReason::Positions => eprintln!("cut off: the model has no more positions"),
        }
        let times: Vec<String> = reply
            .stages
            .iter()
            .map(|stage| format!("{} {:.1} ms", stage.name, stage.micros as f64 / 1e3))
            .collect();
        eprintln!(
            "{} prompt tokens, {} answer tokens; {}",
            reply.prompt_ids.len(),
            reply.ids.len(),
            times.join(", ")
        );
        Ok(())
    }
}

fn labelled(marks: &[Markup]) -> (Vec<Labelled<'_, Point>>, Vec<Labelled<'_, BoundingBox>>) {
    let (mut points, mut boxes) = (Vec::new(), Vec::new());
    for Markup { label, shapes, .. } in marks {
        match shapes {
            Shapes::Points(found) => {
                points.extend(found.iter().map(|mark| Labelled { label, mark: *mark }));
            }
            Shapes::Boxes(found) => {
                boxes.extend(found.iter().map(|mark| Labelled { label, mark: *mark }));
            }
        }
    }
    (points, boxes)
}

/// `marked.png`, then `marked-2.png`, `marked-3.png`, …
fn numbered(path: &Path, index: usize) -> PathBuf {
    if index == 0 {
        return path.to_owned();
    }
    let part = |part: Option<&std::ffi::OsStr>| {
        part.map(|part| part.to_string_lossy().into_owned())
            .unwrap_or_default()
    };
    let stem = part(path.file_stem());
    let extension = part(path.extension());
    path.with_file_name(format!("{stem}-{}.{extension}", index + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn further_images_get_a_number() {
        let path = Path::new("out/marked.png");
        assert_eq!(numbered(path, 0), path);
        assert_eq!(numbered(path, 1), Path::new("out/marked-2.png"));
    }
}
