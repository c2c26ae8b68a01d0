//! The baseline: ask for a percentage per frame, the frames in random order (generative value learning).

use crate::{Error, NumpyRng, curve::same_length, rank};

/// Sampler of the frames that the baseline is shown.
#[derive(Debug, Clone)]
pub struct Gvl {
    /// Number of frames; all of an episode that has no more.
    frames: usize,
    seed: u64,
    /// Generator of the draws, advanced by one episode after the other.
    draws: NumpyRng,
}

impl Gvl {
    /// The reference shows frames drawn with seed 42.
    #[must_use]
    pub fn new(frames: usize, seed: u64) -> Self {
        Self {
            frames,
            seed,
            draws: NumpyRng::new(seed),
        }
    }

    /// Draws the frames of the next episode, which has `total` frames. Episodes must come in the reference's order
    /// for equal draws; the shuffling depends on `episode_index` alone.
    ///
    /// # Errors
    /// [`Error::NoFrames`].
    pub fn show(&mut self, total: usize, episode_index: u64) -> Result<ShownFrames, Error> {
        if total == 0 {
            return Err(Error::NoFrames);
        }
        let mut chronological: Vec<usize> = if total <= self.frames {
            (0..total).collect()
        } else {
            // The first frame is not drawn: it is known to be at 0 %.
            let drawn = self.draws.choice(total - 1, self.frames);
            drawn.into_iter().map(|index| index + 1).collect()
        };
        chronological.sort_unstable();
        let mut shuffled = chronological.clone();
        NumpyRng::new(self.seed.wrapping_add(episode_index)).shuffle(&mut shuffled);
        Ok(ShownFrames {
            completion: chronological
                .iter()
                .map(|&index| completion(index, total))
                .collect(),
            first: chronological.first().copied().unwrap_or(0),
            chronological,
            shuffled,
        })
    }
}

/// Completion of an episode at a frame if it advances evenly [percent, 0 to 100].
#[must_use]
pub fn completion(index: usize, total: usize) -> u32 {
    if total <= 1 {
        return 100;
    }
    (index as f64 / (total - 1) as f64 * 100.0).round_ties_even() as u32
}

/// The frames of one question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownFrames {
    /// Frame indices in the order of time.
    pub chronological: Vec<usize>,
    /// The same in the order in which they are shown.
    pub shuffled: Vec<usize>,
    /// Completion of the episode at each of `chronological` if it advances evenly (percent).
    pub completion: Vec<u32>,
    /// The frame that is shown as the start.
    pub first: usize,
}

/// A part of the question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QuestionPart {
    /// Text.
    Text(String),
    /// A frame of the episode, squeezed to 244x244.
    Frame(usize),
}

impl ShownFrames {
    /// The question, a single turn of the user, in the reference's words.
    #[must_use]
    pub fn question(&self, instruction: &str) -> Vec<QuestionPart> {
        let text = |text: &str| QuestionPart::Text(text.to_owned());
        let mut parts = vec![
            QuestionPart::Text(format!(
                "You are an expert roboticist tasked to predict task completion percentages for frames of a \
                 robot for the task of {instruction}.\nThe task completion percentages are between 0 and 100, \
                 where 100 corresponds to full task completion.\nWe provide several examples of the robot \
                 performing the task at various stages and their corresponding task completion percentages.\n\
                 Note that the frames may be in random order, so please pay attention to the individual frames \
                 when reasoning about task completion percentage.\n"
            )),
            text("Initial robot scene:"),
            QuestionPart::Frame(self.first),
            text("In the initial robot scene, the task completion percentage is 0%."),
            QuestionPart::Text(format!(
                "Now, for the task of {instruction}, output the task completion percentage for the following \
                 frames that are presented in random order. For each frame, format your response as follow: \
                 Frame {{i}}: Task Completion Percentages:{{}}%"
            )),
            text("Be rigorous and precise; percentage reflects task completion."),
            text("Remember: frames are in random order."),
        ];
        for (number, &frame) in (1..).zip(&self.shuffled) {
            parts.push(QuestionPart::Text(format!("Frame {number}:")));
            parts.push(QuestionPart::Frame(frame));
            parts.push(text(""));
        }
        parts
    }

    /// Parses the answer: its percentages in the order of time, and their value-order correlation,
    /// 0 where that is undefined.
    ///
    /// # Errors
    /// [`Error::NoMass`] and [`Error::WrongCount`]; the reference leaves such episodes out of its mean.
    pub fn parse(&self, answer: &str) -> Result<Answer, Error> {
        let values = percentages(answer)?;
        if values.len() != self.shuffled.len() {
            return Err(Error::WrongCount {
                got: values.len(),
                want: self.shuffled.len(),
            });
        }
        same_length("frames and percentages", &self.shuffled, &values)?;
        let mut in_time: Vec<(usize, f64)> = self.shuffled.iter().copied().zip(values).collect();
        in_time.sort_by_key(|&(index, _)| index);
        let percentages: Vec<f64> = in_time.into_iter().map(|(_, value)| value).collect();
        let voc = rank::voc(&percentages)?;
        Ok(Answer {
            percentages,
            voc: voc.unwrap_or(0.0),
            undefined: voc.is_none(),
        })
    }
}

/// The baseline's answer for one episode.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Frame indices in the order of time.
    pub percentages: Vec<f64>,
    /// Value-order correlation; also the baseline's success score.
    pub voc: f64,
    /// True if the correlation is undefined, so that `voc` is 0 for want of a value.
    pub undefined: bool,
}

/// The numbers before a percent sign, in order, those outside [0, 100] left out. If one of them has a
/// fraction all are rescaled to whole numbers that sum to 100, which keeps their order but for rounding.
///
/// # Errors
/// [`Error::NoMass`] when rescaling numbers that sum to nothing.
pub fn percentages(answer: &str) -> Result<Vec<f64>, Error> {
    let values: Vec<f64> = numbers_before_percent(answer)
        .into_iter()
        .filter(|value| (0.0..=100.0).contains(value))
        .collect();
    if values.iter().all(|value| value.fract() == 0.0) {
        return Ok(values);
    }
    let total: f64 = values.iter().sum();
    if total <= 0.0 {
        return Err(Error::NoMass);
    }
    let scale = 100.0 / total;
    let scaled: Vec<f64> = values.iter().map(|value| value * scale).collect();
    let mut whole: Vec<f64> = scaled.iter().map(|value| value.floor()).collect();
    let missing = 100.0 - whole.iter().sum::<f64>();
    let mut order: Vec<(usize, f64)> = scaled
        .iter()
        .zip(&whole)
        .map(|(value, floor)| value - floor)
        .enumerate()
        .collect();
    order.sort_by(|left, right| right.1.total_cmp(&left.1));
    for (index, _) in order.into_iter().take(missing.max(0.0) as usize) {
        if let Some(value) = whole.get_mut(index) {
            *value += 1.0;
        }
    }
    Ok(whole)
}

/// An optional minus, digits, an optional fraction, white space, a percent sign. Digits are ASCII.
fn numbers_before_percent(text: &str) -> Vec<f64> {
    let letters: Vec<char> = text.chars().collect();
    let mut numbers = Vec::new();
    let mut at = 0;
    while at < letters.len() {
        match number_at(&letters, at) {
            Some((value, end)) => {
                numbers.push(value);
                at = end;
            }
            None => at += 1,
        }
    }
    numbers
}

/// The number that starts at `start` and the place after its percent sign.
fn number_at(letters: &[char], start: usize) -> Option<(f64, usize)> {
    let is_digit = |at: usize| letters.get(at).is_some_and(char::is_ascii_digit);
    let skip = |mut at: usize, wanted: &dyn Fn(usize) -> bool| {
        while wanted(at) {
            at += 1;
        }
        at
    };
    let digits = start + usize::from(letters.get(start) == Some(&'-'));
    let mut end = skip(digits, &is_digit);
    if end == digits {
        return None;
    }
    if letters.get(end) == Some(&'.') && is_digit(end + 1) {
        end = skip(end + 1, &is_digit);
    }
    let is_space = |at: usize| {
        letters
            .get(at)
            .is_some_and(|letter| letter.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(letter))
    };
    let percent = skip(end, &is_space);
    if letters.get(percent) != Some(&'%') {
        return None;
    }
    let text: String = letters.get(start..end)?.iter().collect();
    Some((text.parse().ok()?, percent + 1))
}
