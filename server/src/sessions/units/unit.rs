//! The unit of a joint, parsed from the text that a robot announces for it.

/// Kind of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Degrees,
    Radians,
    /// A part of the range of a joint, such as -100 to 100.
    Percent,
    Length,
    /// Another text, or none.
    Unknown,
}

/// Spellings for an error message, one for each known unit.
pub(super) const KNOWN: &str = "deg, rad, percent, normalized, m, cm, mm";

impl Unit {
    /// Parses a unit as people write it: in any case and number, with a remark in parentheses.
    pub(super) fn of(text: &str) -> Self {
        let text = text.to_lowercase();
        let Some((before, inside)) = text.split_once(['(', '[']) else {
            return Self::of_word(&text);
        };
        let inside = Self::of_word(inside.trim().trim_end_matches([')', ']']));
        match (before.trim(), Self::of_word(before)) {
            ("" | "angle" | "angles" | "position" | "unit" | "units", _) => inside,
            // A remark may be anything but another unit.
            (_, unit) if inside == Self::Unknown || inside == unit => unit,
            _ => Self::Unknown,
        }
    }

    fn of_word(word: &str) -> Self {
        let word: String = word
            .chars()
            .filter(|char| !char.is_whitespace() && *char != '_')
            .map(|char| match char {
                '\u{2212}' | '–' => '-',
                other => other,
            })
            .collect();
        match word.trim_end_matches('.') {
            "deg" | "degs" | "degree" | "degrees" | "°" | "º" => Self::Degrees,
            "rad" | "rads" | "radian" | "radians" => Self::Radians,
            "percent" | "percents" | "percentage" | "pct" | "%" | "fraction" | "ratio" => {
                Self::Percent
            }
            "norm" | "normed" | "normalized" | "normalised" => Self::Percent,
            // Names of LeRobot's motor modes.
            "rangem100100" | "range0100" | "±100" | "+-100" | "+/-100" => Self::Percent,
            "m" | "meter" | "meters" | "metre" | "metres" => Self::Length,
            "cm" | "centimeter" | "centimeters" | "centimetre" | "centimetres" => Self::Length,
            "mm" | "millimeter" | "millimeters" | "millimetre" | "millimetres" => Self::Length,
            range if is_part_of_range(range) => Self::Percent,
            _ => Self::Unknown,
        }
    }
}

/// True for the range of normalized values: -100 to 100, 0 to 100, -1 to 1 or 0 to 1.
fn is_part_of_range(word: &str) -> bool {
    let limits = ["...", "..", "to", ",", ":"]
        .iter()
        .find_map(|between| word.split_once(between));
    let Some((low, high)) = limits else {
        return false;
    };
    let number = |text: &str| text.parse::<f32>().ok();
    matches!(
        (number(low), number(high)),
        (Some(-100.0 | 0.0), Some(100.0)) | (Some(-1.0 | 0.0), Some(1.0))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_parsed_as_people_write_them() {
        let known: [(&[&str], Unit); 4] = [
            (
                &[
                    "deg",
                    "Deg.",
                    " DEGREES ",
                    "degree",
                    "°",
                    "(deg)",
                    "[degrees]",
                    "angle (deg)",
                ],
                Unit::Degrees,
            ),
            (
                &[
                    "rad",
                    "Radian",
                    "radians",
                    "radian (SI)",
                    "RAD (-pi to pi)",
                    "rad (radians)",
                ],
                Unit::Radians,
            ),
            (
                &[
                    "percent",
                    "%",
                    "norm",
                    "Normalized",
                    "normalised",
                    "-100..100",
                    "[-100, 100]",
                    "−100 to 100",
                    "0..100",
                    "normalized (-100..100)",
                    "RANGE_M100_100",
                    "[-1, 1]",
                    "0 to 1",
                    "±100",
                ],
                Unit::Percent,
            ),
            (&["m", "mm", "Metres", "cm (of travel)"], Unit::Length),
        ];
        for (words, unit) in known {
            for word in words {
                assert_eq!(Unit::of(word), unit, "{word:?}");
            }
        }
    }

    #[test]
    fn every_other_word_is_unknown() {
        for word in [
            "",
            " ",
            "()",
            "turns",
            "ticks",
            "steps",
            "turns (deg)",
            "deg (rad)",
            "degrees/s",
            "radish",
            "-5..5",
            "100..-100",
            "to",
            "..",
            "u",
        ] {
            assert_eq!(Unit::of(word), Unit::Unknown, "{word:?}");
        }
    }

    #[test]
    fn the_spellings_of_the_message_are_known() {
        for word in KNOWN.split(", ") {
            assert_ne!(Unit::of(word), Unit::Unknown, "{word:?}");
        }
    }
}
