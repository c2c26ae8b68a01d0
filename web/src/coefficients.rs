//! DCT coefficients as colors, and their frequencies.

/// Frequency of coefficient `k` of a chunk of `rows` steps at `rate_hz`: `k` half periods per chunk.
pub fn hertz(k: usize, rows: usize, rate_hz: f32) -> f32 {
    k as f32 * rate_hz / (2.0 * rows.max(1) as f32)
}

/// A frequency in three digits: `0`, `0.94`, `14.1`.
pub fn hertz_text(hertz: f32) -> String {
    if hertz == 0.0 {
        "0".to_owned()
    } else if hertz < 9.995 {
        format!("{hertz:.2}")
    } else {
        format!("{hertz:.1}")
    }
}

/// Position of a frequency between the lowest (0) and the highest (1). Low frequencies, which carry most of a motion,
/// take more of the scale.
pub fn band(k: usize, rows: usize) -> f32 {
    let highest = rows.saturating_sub(1).max(1);
    (k as f32 / highest as f32).clamp(0.0, 1.0).sqrt()
}

/// Color strength of a coefficient in percent. It is logarithmic, because the mean of a motion is far larger than its
/// detail and both should be visible; only zero coefficients have none.
pub fn strength(coefficient: i32, largest: u32) -> u32 {
    if coefficient == 0 {
        return 0;
    }
    let of = |value: u32| f64::from(value).ln_1p();
    let share = of(coefficient.unsigned_abs()) / of(largest.max(1));
    (14.0 + 86.0 * share.min(1.0)).round() as u32
}

/// An integer with an explicit sign: `+3`, `−12`, `0`.
pub fn signed(value: i32) -> String {
    match value {
        0 => "0".to_owned(),
        value if value > 0 => format!("+{value}"),
        value => format!("\u{2212}{}", value.unsigned_abs()),
    }
}

/// Appearance of a cell of the heat map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    /// The coefficient; absent while it has not arrived.
    pub value: Option<i32>,
    /// Color strength in percent.
    pub strength: u32,
    /// True if the marked token contains it.
    pub is_marked: bool,
    /// True if it differs from the decision that is being edited.
    pub is_changed: bool,
}

impl Cell {
    /// Class names for the style sheet.
    pub fn class(&self) -> String {
        let mut class = match self.value {
            None => "cell unknown",
            Some(0) => "cell zero",
            Some(value) if value > 0 => "cell plus",
            Some(_) => "cell minus",
        }
        .to_owned();
        if self.strength > 62 {
            class.push_str(" strong");
        }
        if self.is_marked {
            class.push_str(" marked");
        }
        if self.is_changed {
            class.push_str(" changed");
        }
        class
    }

    /// Text of the cell.
    pub fn text(&self) -> String {
        self.value.map(signed).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coefficient_k_stands_for_k_half_turns_per_chunk() {
        assert_eq!(hertz(0, 16, 30.0), 0.0);
        assert_eq!(hertz(1, 16, 30.0), 0.9375);
        // The highest stays below half the rate.
        assert!(hertz(15, 16, 30.0) < 15.0);
        assert_eq!(hertz_text(hertz(1, 16, 30.0)), "0.94");
        assert_eq!(hertz_text(hertz(15, 16, 30.0)), "14.1");
        assert_eq!(hertz_text(0.0), "0");
    }

    #[test]
    fn colours_grow_with_the_coefficient_and_are_never_invisible() {
        assert_eq!(strength(0, 40), 0);
        assert!(strength(1, 4000) >= 14);
        assert!(strength(-3, 40) < strength(9, 40));
        assert_eq!(strength(40, 40), 100);
        assert_eq!(strength(1, 0), 100);
        assert!(band(1, 16) < band(4, 16) && band(15, 16) == 1.0);
        assert_eq!(band(0, 1), 0.0);
    }

    #[test]
    fn cells_say_what_they_are() {
        let cell = Cell {
            value: Some(-12),
            strength: 70,
            is_marked: true,
            is_changed: false,
        };
        assert_eq!(
            (cell.class().as_str(), cell.text().as_str()),
            ("cell minus strong marked", "\u{2212}12")
        );
        let empty = Cell {
            value: None,
            strength: 0,
            is_marked: false,
            is_changed: false,
        };
        assert_eq!(
            (empty.class().as_str(), empty.text().as_str()),
            ("cell unknown", "")
        );
        assert_eq!(signed(3), "+3");
    }
}
