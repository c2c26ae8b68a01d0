//! The order of pictures by their names, as a person counts: `frame_2` before `frame_10`.

use std::{cmp::Ordering, collections::BTreeMap, path::PathBuf};

/// A whole number of this many digits before a point counts seconds since 1970 (or parts of them): what follows is a
/// fraction. A shorter one is a number of its own.
const CLOCK_DIGITS: usize = 9;
/// Patterns that a sentence names.
const NAMED: usize = 4;

/// Part of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// Digits, as they stand.
    Number(String),
    /// Digits of a fraction.
    Fraction(String),
    /// Anything else.
    Text(String),
}

/// Sorts files by their names as a person counts, and says in a sentence what is doubtful about that order.
pub(super) fn sort(files: &mut Vec<PathBuf>) -> Option<String> {
    let mut named: Vec<(Vec<Part>, PathBuf)> = files
        .drain(..)
        .map(|path| (parts(&stem(&path)), path))
        .collect();
    named.sort_by(|(left, left_path), (right, right_path)| {
        compare(left, right).then_with(|| left_path.file_name().cmp(&right_path.file_name()))
    });
    let doubt = doubt(&named);
    files.extend(named.into_iter().map(|(_, path)| path));
    doubt
}

fn stem(path: &std::path::Path) -> String {
    path.file_stem()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

fn parts(name: &str) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        let of_digits = first.is_ascii_digit();
        let end = rest
            .find(|letter: char| letter.is_ascii_digit() != of_digits)
            .unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        let run = run.to_owned();
        parts.push(match (of_digits, parts.as_slice()) {
            (false, _) => Part::Text(run),
            (true, [.., Part::Number(whole), Part::Text(point)])
                if point == "." && whole.trim_start_matches('0').len() >= CLOCK_DIGITS =>
            {
                Part::Fraction(run)
            }
            (true, _) => Part::Number(run),
        });
        rest = after;
    }
    parts
}

fn compare(left: &[Part], right: &[Part]) -> Ordering {
    for (left, right) in left.iter().zip(right) {
        let order = match (left, right) {
            (Part::Number(left), Part::Number(right)) => {
                let (left, right) = (left.trim_start_matches('0'), right.trim_start_matches('0'));
                left.len().cmp(&right.len()).then_with(|| left.cmp(right))
            }
            (Part::Fraction(left), Part::Fraction(right)) => {
                left.trim_end_matches('0').cmp(right.trim_end_matches('0'))
            }
            (Part::Text(left), Part::Text(right)) => left.to_lowercase().cmp(&right.to_lowercase()),
            // A number before words, as in most file managers.
            (Part::Text(_), _) => Ordering::Greater,
            (_, Part::Text(_)) => Ordering::Less,
            (Part::Number(_), Part::Fraction(_)) => Ordering::Less,
            (Part::Fraction(_), Part::Number(_)) => Ordering::Greater,
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    left.len().cmp(&right.len())
}

/// `frame_#` of `frame_12`.
fn pattern(parts: &[Part]) -> String {
    parts
        .iter()
        .map(|part| match part {
            Part::Text(text) => text.to_lowercase(),
            Part::Number(_) | Part::Fraction(_) => "#".to_owned(),
        })
        .collect()
}

/// What is doubtful about the order of names that are in order.
fn doubt(named: &[(Vec<Part>, PathBuf)]) -> Option<String> {
    let mut patterns: BTreeMap<String, usize> = BTreeMap::new();
    for (parts, _) in named {
        *patterns.entry(pattern(parts)).or_default() += 1;
    }
    // Names without a number are words, and words have an order of their own.
    let is_counted = patterns.keys().any(|pattern| pattern.contains('#'));
    if is_counted && patterns.len() > 1 {
        let mut words: Vec<String> = patterns
            .iter()
            .take(NAMED)
            .map(|(pattern, count)| format!("{count} as {pattern}"))
            .collect();
        if patterns.len() > NAMED {
            words.push("others".to_owned());
        }
        return Some(format!(
            "the names follow more than one pattern ({}): they are taken in the order of their names, which may not be that \
             of time; put the pictures of one video into a folder of their own",
            words.join(", ")
        ));
    }
    let name = |path: &PathBuf| {
        path.file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default()
    };
    for ((left, left_path), (right, right_path)) in named.iter().zip(named.iter().skip(1)) {
        if is_counted && compare(left, right) == Ordering::Equal {
            return Some(format!(
                "{} and {} have the same number: both are taken, one after the other",
                name(left_path),
                name(right_path)
            ));
        }
        if points(left, right) {
            return Some(format!(
                "{} is taken to come before {}: the digits after the point count as a number of their own, not as a \
                 fraction; fill them up with zeros if they are one",
                name(left_path),
                name(right_path)
            ));
        }
    }
    gap(named)
}

/// True if two names are in another order when what follows a point is a fraction: 0.5 and 0.25.
fn points(left: &[Part], right: &[Part]) -> bool {
    let place = left
        .iter()
        .zip(right)
        .position(|(left, right)| left != right);
    let Some(place) = place.filter(|place| *place >= 2) else {
        return false;
    };
    match (left.get(place - 2..=place), right.get(place)) {
        (
            Some([Part::Number(_), Part::Text(point), Part::Number(left)]),
            Some(Part::Number(right)),
        ) if point == "." => left.trim_end_matches('0') > right.trim_end_matches('0'),
        _ => false,
    }
}

/// A sentence about the first place where a count jumps that otherwise goes by even steps.
fn gap(named: &[(Vec<Part>, PathBuf)]) -> Option<String> {
    // The number that changes: all others and all words must be the same everywhere.
    let (first, _) = named.first()?;
    let (last, _) = named.last()?;
    let mut places = first
        .iter()
        .zip(last)
        .enumerate()
        .filter(|(_, (first, last))| first != last)
        .map(|(place, _)| place);
    let place = places.next()?;
    if places.next().is_some() {
        return None;
    }
    let number = |parts: &[Part]| match parts.get(place) {
        Some(Part::Number(digits)) => digits.parse::<u64>().ok(),
        _ => None,
    };
    let numbers: Vec<u64> = named
        .iter()
        .map(|(parts, _)| number(parts))
        .collect::<Option<_>>()?;
    let steps: Vec<u64> = numbers
        .iter()
        .zip(numbers.iter().skip(1))
        .map(|(before, after)| after.saturating_sub(*before))
        .collect();
    let mut sorted = steps.clone();
    sorted.sort_unstable();
    let usual = *sorted.get(sorted.len() / 2)?;
    // Times as names differ a little from step to step; a picture that is missing is a whole step.
    let at = steps
        .iter()
        .position(|step| *step >= usual.saturating_mul(2))?;
    let jumps = steps
        .iter()
        .filter(|step| **step >= usual.saturating_mul(2))
        .count();
    let (before, after) = (numbers.get(at)?, numbers.get(at + 1)?);
    Some(format!(
        "the numbers jump {jumps} times, first from {before} to {after}: pictures seem to be missing, and those that are there \
         count as evenly spaced"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(names: &[&str]) -> (Vec<String>, Option<String>) {
        let mut files: Vec<PathBuf> = names.iter().map(PathBuf::from).collect();
        // Folders are read in any order.
        files.reverse();
        let doubt = sort(&mut files);
        let names = files
            .iter()
            .map(|file| file.display().to_string())
            .collect();
        (names, doubt)
    }

    #[test]
    fn the_order_is_that_of_counting() {
        for names in [
            &["frame_1.png", "frame_2.png", "frame_3.png", "frame_10.png"][..4],
            &["9.png", "10.png", "11.png"],
            &["000.png", "001.png", "002.png"],
            &["frame_9999.png", "frame_10000.png"],
            &["a1_2.png", "a1_10.png", "a2_1.png"],
            &["Frame_1.PNG", "frame_2.png", "frame_3.jpg"],
            &[
                "99999999999999999999999.png",
                "100000000000000000000000.png",
            ],
            // Seconds since 1970, as Python writes them.
            &["1700000000.25.png", "1700000000.5.png", "1700000001.0.png"],
            &["a.png", "b.png", "c.png"],
        ] {
            let (found, _) = sorted(names);
            assert_eq!(found, names, "{names:?}");
        }
        for names in [
            &["frame_1.png", "frame_2.png", "frame_10.png"][..0],
            &["frame_1.png", "frame_2.png", "frame_3.jpg"],
            &["0.png", "5.png", "10.png", "15.png"],
            &["a1_1.png", "a1_2.png", "a2_1.png", "a2_9.png"],
            &["close.png", "open.png"],
        ] {
            assert_eq!(sorted(names).1, None, "{names:?}");
        }
    }

    #[test]
    fn what_is_doubtful_is_said() {
        for (names, words) in [
            (
                &["cover.png", "frame_1.png", "frame_2.png"][..],
                "1 as cover",
            ),
            (&["left_1.png", "right_1.png"], "more than one pattern"),
            (
                &["frame.png", "frame (1).png", "frame (2).png"],
                "more than one pattern",
            ),
            (&["1.png", "01.png", "2.png"], "the same number"),
            (&["1.jpg", "1.png"], "the same number"),
            (&["t0.5.png", "t0.25.png"], "fraction"),
            (
                &["1.png", "2.png", "3.png", "7.png", "8.png"],
                "from 3 to 7",
            ),
        ] {
            let doubt = sorted(names).1.unwrap_or_default();
            assert!(doubt.contains(words), "{names:?}: {doubt:?}");
        }
    }
}
