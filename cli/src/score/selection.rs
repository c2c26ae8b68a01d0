//! Which episodes, and which of them succeeded.

use anyhow::bail;
use datasets::lerobot::Listing;
use std::collections::BTreeMap;

/// A choice of episodes by index: numbers and ranges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Episodes(Vec<(u64, u64)>);

impl std::str::FromStr for Episodes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.split(',')
            .map(|part| {
                let part = part.trim();
                let (first, last) = part.split_once('-').unwrap_or((part, part));
                match (first.trim().parse(), last.trim().parse()) {
                    (Ok(first), Ok(last)) if first <= last => Ok((first, last)),
                    _ => Err(format!(
                        "{part:?} is neither an episode nor a range such as 0-9"
                    )),
                }
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl Episodes {
    /// Places in the listing.
    ///
    /// # Errors
    /// For an episode that is not there.
    pub(super) fn places(&self, listing: &Listing) -> anyhow::Result<Vec<usize>> {
        let Self(ranges) = self;
        for (first, last) in ranges {
            let there = listing
                .episodes
                .iter()
                .filter(|entry| (*first..=*last).contains(&entry.index))
                .count();
            if there as u64 != (last - first).saturating_add(1) {
                let ends = listing.episodes.first().zip(listing.episodes.last());
                let span = ends.map_or_else(
                    || "there are none".to_owned(),
                    |(first, last)| {
                        let count = listing.episodes.len();
                        format!("there are {count}, from {} to {}", first.index, last.index)
                    },
                );
                bail!("--episodes {first}-{last}: {there} of them are in the data set; {span}");
            }
        }
        let wanted = |index: u64| {
            ranges
                .iter()
                .any(|(first, last)| (*first..=*last).contains(&index))
        };
        Ok(listing
            .episodes
            .iter()
            .enumerate()
            .filter(|(_, entry)| wanted(entry.index))
            .map(|(place, _)| place)
            .collect())
    }
}

/// `{"0": true}`, or lines of `0,1`, with or without a heading.
///
/// # Errors
/// With the line that is neither.
pub(super) fn parse_labels(text: &str) -> anyhow::Result<BTreeMap<u64, bool>> {
    if text.trim_start().starts_with('{') {
        return Ok(field_files::json::parse(text.as_bytes())?);
    }
    let mut labels = BTreeMap::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        let parsed = line.split_once(',').and_then(|(episode, outcome)| {
            let outcome = match outcome.trim().to_ascii_lowercase().as_str() {
                "1" | "1.0" | "true" => true,
                "0" | "0.0" | "false" => false,
                _ => return None,
            };
            Some((episode.trim().parse::<u64>().ok()?, outcome))
        });
        match parsed {
            Some((episode, outcome)) => {
                labels.insert(episode, outcome);
            }
            // A heading, but not an episode with an outcome that nobody understands.
            None if number == 0 && !line.starts_with(|first: char| first.is_ascii_digit()) => {}
            None => bail!(
                "line {}: {line:?} is not EPISODE,0 or EPISODE,1",
                number + 1
            ),
        }
    }
    Ok(labels)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn labels_are_lines_or_an_object() {
        let expected = BTreeMap::from([(0, true), (3, false)]);
        for text in [
            "episode_index,success\n0,1\n3,0\n",
            "0,true\n\n 3 , False",
            "0,1.0\r\n3,0.0\r\n",
            "{\"0\": true, \"3\": false}",
        ] {
            assert_eq!(parse_labels(text).unwrap(), expected, "{text}");
        }
        for text in ["0,1\n3,maybe", "{\"0\": 1}", "0,1\nthree,1", "0,maybe\n3,1"] {
            assert!(parse_labels(text).is_err(), "{text}");
        }
    }

    #[test]
    fn episodes_are_numbers_and_ranges() {
        assert_eq!("0-9, 12".parse(), Ok(Episodes(vec![(0, 9), (12, 12)])));
        for text in ["", "a", "5-3", "1-", "-2", "1,,2"] {
            assert!(text.parse::<Episodes>().is_err(), "{text}");
        }
    }
}
