//! The size that the frames of a video are resized to.

use crate::error::ScoreError;

/// Size of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameSize {
    /// Pixels per row.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

/// Bounds on the size of a video [pixels of all its frames together].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PixelBudget {
    /// `size.shortest_edge` of the processor's file.
    pub least: usize,
    /// `size.longest_edge`.
    pub most: usize,
}

/// Counting of an odd number of frames against the budget.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OddFrames {
    /// Half the frames, rounded half to even, twice: transformers 4.57, which the published scores come from. Only
    /// a video at its budget shows it.
    #[default]
    HalfToEven,
    /// With the repeated last frame: transformers 5.
    Padded,
}

/// Frames as long and thin as this are refused, as by the reference.
const MOST_ASPECT: f64 = 200.0;

/// The reference's `smart_resize`: both sides to multiples of `factor`, near the frame's own size, so that `frames`
/// frames stay within `budget`.
///
/// In f64 as the reference computes it; `round` is half to even.
///
/// # Errors
/// [`ScoreError::NoFrames`], and [`ScoreError::BadFrameSize`] for sides below `factor` or an aspect above 200.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts of pixels are far below 2^53 and not negative"
)]
pub fn smart_resize(
    frames: usize,
    size: FrameSize,
    factor: usize,
    budget: PixelBudget,
    odd: OddFrames,
) -> Result<FrameSize, ScoreError> {
    let FrameSize { width, height } = size;
    let refuse = |reason: String| ScoreError::BadFrameSize {
        width,
        height,
        reason,
    };
    if frames == 0 {
        return Err(ScoreError::NoFrames);
    }
    let factor = factor.max(1);
    if width < factor || height < factor {
        return Err(refuse(format!("both sides must be at least {factor}")));
    }
    let (w, h) = (width as f64, height as f64);
    if w.max(h) / w.min(h) > MOST_ASPECT {
        return Err(refuse(format!(
            "one side is more than {MOST_ASPECT} times the other"
        )));
    }
    // A single frame is shown twice.
    let frames = frames.max(2);
    let step = factor as f64;
    let near = |side: f64| (side / step).round_ties_even() * step;
    let (near_h, near_w) = (near(h), near(w));
    let counted = match odd {
        OddFrames::HalfToEven => (frames as f64 / 2.0).round_ties_even() * 2.0,
        OddFrames::Padded => (frames as f64 / 2.0).ceil() * 2.0,
    };
    let pixels = counted * near_h * near_w;
    let own = frames as f64 * h * w;
    let (out_h, out_w) = if pixels > budget.most as f64 {
        let beta = (own / budget.most as f64).sqrt();
        let down = |side: f64| step.max((side / beta / step).floor() * step);
        (down(h), down(w))
    } else if pixels < budget.least as f64 {
        let beta = (budget.least as f64 / own).sqrt();
        let up = |side: f64| (side * beta / step).ceil() * step;
        (up(h), up(w))
    } else {
        (near_h, near_w)
    };
    Ok(FrameSize {
        width: out_w as usize,
        height: out_h as usize,
    })
}

/// The same of a single image: its own pixels count, and one with sides below `factor` is enlarged, not refused.
///
/// # Errors
/// [`ScoreError::BadFrameSize`] for an image without pixels or with an aspect above 200.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts of pixels are far below 2^53 and not negative"
)]
pub fn smart_resize_image(
    size: FrameSize,
    factor: usize,
    budget: PixelBudget,
) -> Result<FrameSize, ScoreError> {
    let FrameSize { width, height } = size;
    let refuse = |reason: String| ScoreError::BadFrameSize {
        width,
        height,
        reason,
    };
    if width == 0 || height == 0 {
        return Err(refuse("there are no pixels".to_owned()));
    }
    let (w, h) = (width as f64, height as f64);
    if w.max(h) / w.min(h) > MOST_ASPECT {
        return Err(refuse(format!(
            "one side is more than {MOST_ASPECT} times the other"
        )));
    }
    let step = factor.max(1) as f64;
    let near = |side: f64| (side / step).round_ties_even() * step;
    let (near_h, near_w) = (near(h), near(w));
    let (out_h, out_w) = if near_h * near_w > budget.most as f64 {
        let beta = (h * w / budget.most as f64).sqrt();
        let down = |side: f64| step.max((side / beta / step).floor() * step);
        (down(h), down(w))
    } else if near_h * near_w < budget.least as f64 {
        let beta = (budget.least as f64 / (h * w)).sqrt();
        let up = |side: f64| (side * beta / step).ceil() * step;
        (up(h), up(w))
    } else {
        (near_h, near_w)
    };
    Ok(FrameSize {
        width: out_w as usize,
        height: out_h as usize,
    })
}
