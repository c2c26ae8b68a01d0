//! The prefixes of a clip that are scored.

use crate::{Clip, Error, Profile, linspace};
use std::{fmt, str::FromStr};

/// A choice of prefix lengths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prefixes {
    /// This many, evenly spread from one frame to the whole clip; fewer where the clip is shorter.
    Spread(usize),
    /// Every length from one frame to the whole clip.
    Every,
    /// Every length at which the model is shown another whole block of two frames, and the whole clip.
    Blocks,
    /// Exactly these lengths (frames), in any order.
    Lengths(Vec<usize>),
}

impl Default for Prefixes {
    /// Fifteen, as the reference takes by default.
    fn default() -> Self {
        Self::Spread(15)
    }
}

impl Prefixes {
    /// The lengths (frames), ascending and each once.
    ///
    /// [`Profile::Lerobot`] rounds evenly spread lengths to the nearest whole number (ties to even), the
    /// others cut them. `Spread(0)` is [`Prefixes::Every`], and of a clip of up to two frames the others
    /// take the whole one only, as the reference does.
    ///
    /// # Errors
    /// [`Error::NoPrefixes`] for an empty list, [`Error::BadPrefix`] for a length outside the clip.
    pub fn lengths(&self, clip: &Clip, profile: Profile) -> Result<Vec<usize>, Error> {
        let total = clip.frames();
        let mut lengths = match self {
            Self::Every | Self::Spread(0) => (1..=total).collect(),
            Self::Spread(count) if profile == Profile::Lerobot => {
                if *count >= total {
                    (1..=total).collect()
                } else {
                    linspace::rounded(1, total, *count)
                }
            }
            Self::Spread(_) if total <= 2 => vec![total],
            Self::Spread(count) => linspace::floored(1, total, (*count).min(total)),
            Self::Blocks => blocks(clip, profile)?,
            Self::Lengths(lengths) if lengths.is_empty() => return Err(Error::NoPrefixes),
            Self::Lengths(lengths) => lengths.clone(),
        };
        for &length in &lengths {
            clip.check_prefix(length)?;
        }
        lengths.sort_unstable();
        lengths.dedup();
        Ok(lengths)
    }
}

/// A prefix ends a block when it shows an even number of frames of the full schedule.
fn blocks(clip: &Clip, profile: Profile) -> Result<Vec<usize>, Error> {
    let shown = profile.frames(clip, clip.frames())?.indices;
    let mut lengths: Vec<usize> = shown
        .chunks_exact(2)
        .filter_map(|pair| pair.last().map(|index| index + 1))
        .collect();
    lengths.push(clip.frames());
    Ok(lengths)
}

impl fmt::Display for Prefixes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spread(count) => write!(f, "{count}"),
            Self::Every => f.write_str("all"),
            Self::Blocks => f.write_str("blocks"),
            Self::Lengths(lengths) => {
                let lengths: Vec<String> = lengths.iter().map(usize::to_string).collect();
                f.write_str(&lengths.join(","))?;
                if lengths.len() == 1 {
                    f.write_str(",")
                } else {
                    Ok(())
                }
            }
        }
    }
}

impl FromStr for Prefixes {
    type Err = Error;

    /// `15`, `all`, `blocks`, or lengths separated by commas; `7,` is the one length 7.
    fn from_str(text: &str) -> Result<Self, Error> {
        let unknown = || Error::Unknown {
            what: "choice of prefixes",
            got: text.to_owned(),
            known: "a number of prefixes, all, blocks, or lengths separated by commas",
        };
        let number = |text: &str| text.trim().parse::<usize>().map_err(|_| unknown());
        match text.trim() {
            "all" => Ok(Self::Every),
            "blocks" => Ok(Self::Blocks),
            list if list.contains(',') => {
                let lengths: Vec<usize> = list
                    .split(',')
                    .filter(|part| !part.trim().is_empty())
                    .map(number)
                    .collect::<Result<_, _>>()?;
                if lengths.is_empty() {
                    return Err(Error::NoPrefixes);
                }
                Ok(Self::Lengths(lengths))
            }
            count => number(count).map(Self::Spread),
        }
    }
}
