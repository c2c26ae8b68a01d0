//! Formatting of numbers, units and names for people.

/// Microseconds as `430 µs`, `12.3 ms` or `1.24 s`.
pub fn duration(micros: u64) -> String {
    let micros = micros as f64;
    if micros < 1_000.0 {
        format!("{micros:.0} µs")
    } else if micros < 100_000.0 {
        format!("{:.1} ms", micros / 1e3)
    } else if micros < 1_000_000.0 {
        format!("{:.0} ms", micros / 1e3)
    } else {
        format!("{:.2} s", micros / 1e6)
    }
}

/// A time span: `0.4 s`, `12 s`, `2 min 5 s`.
#[must_use]
pub fn span(secs: f64) -> String {
    let secs = secs.max(0.0);
    if secs < 9.95 {
        format!("{secs:.1} s")
    } else if secs < 59.5 {
        format!("{secs:.0} s")
    } else {
        let whole = secs.round() as u64;
        format!("{} min {} s", whole / 60, whole % 60)
    }
}

/// Age of an image in whole seconds: `12 s old`, `2 min 5 s old`.
#[must_use]
pub fn age(millis: f64) -> String {
    let secs = (millis.max(0.0) / 1e3).floor() as u64;
    if secs < 60 {
        format!("{secs} s old")
    } else {
        format!("{} min {} s old", secs / 60, secs % 60)
    }
}

/// Microseconds with fractions: `0.84 µs`, `13.2 µs`, `1.2 ms`.
pub fn fine_micros(micros: f64) -> String {
    if micros < 10.0 {
        format!("{micros:.2} µs")
    } else if micros < 100.0 {
        format!("{micros:.1} µs")
    } else {
        duration(micros.round() as u64)
    }
}

/// Milliseconds as [`duration`] formats them.
pub fn millis(millis: f64) -> String {
    duration((millis.max(0.0) * 1e3).round() as u64)
}

/// A parameter count as `12.4 M`.
pub fn count(value: u64) -> String {
    let value_f = value as f64;
    if value_f >= 1e9 {
        format!("{:.2} B", value_f / 1e9)
    } else if value_f >= 1e6 {
        format!("{:.1} M", value_f / 1e6)
    } else if value_f >= 1e4 {
        format!("{:.0} k", value_f / 1e3)
    } else {
        value.to_string()
    }
}

/// Bytes as `3.4 MB`.
pub fn megabytes(bytes: f64) -> String {
    format!("{:.1} MB", bytes / 1e6)
}

/// A small difference as `0`, `3.1e-7` or `0.021`.
pub fn difference(value: f32) -> String {
    if value == 0.0 {
        "0".to_owned()
    } else if !value.is_finite() {
        "not a number".to_owned()
    } else if value < 1e-3 {
        format!("{value:.1e}")
    } else {
        format!("{value:.3}")
    }
}

/// Symbol of a unit of the protocol.
pub fn unit_sign(unit: &str) -> &str {
    match unit {
        "deg" => "°",
        "percent" => " %",
        "rad" => " rad",
        "m" => " m",
        other => other,
    }
}

/// A joint value with its unit, a true minus sign and a constant number of decimals.
pub fn joint_value(value: f32, unit: &str) -> String {
    let decimals = if matches!(unit, "rad" | "m") { 3 } else { 1 };
    let text = format!("{value:.decimals$}{}", unit_sign(unit));
    match text.strip_prefix('-') {
        Some(rest) => format!("\u{2212}{rest}"),
        None => text,
    }
}

/// A number with a true minus sign.
pub fn decimal(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    match text.strip_prefix('-') {
        // No minus before zero.
        Some(rest) if rest.chars().all(|digit| matches!(digit, '0' | '.')) => rest.to_owned(),
        Some(rest) => format!("\u{2212}{rest}"),
        None => text,
    }
}

/// Bytes as `812 kB`, `14.2 MB` or `4.26 GB`.
pub fn bytes(bytes: u64) -> String {
    let value = bytes as f64;
    if value >= 1e9 {
        format!("{:.2} GB", value / 1e9)
    } else if value >= 1e6 {
        format!("{:.1} MB", value / 1e6)
    } else {
        format!("{:.0} kB", value / 1e3)
    }
}

/// The text with a capital first letter, as the beginning of a sentence.
pub fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

/// A name for people: `shoulder_pan` as `Shoulder pan`.
pub fn plain_name(name: &str) -> String {
    let mut text = name.replace(['_', '.'], " ");
    if let Some(first) = text.get_mut(0..1) {
        first.make_ascii_uppercase();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_in_whole_seconds() {
        assert_eq!(age(1_990.0), "1 s old");
        assert_eq!(age(12_000.0), "12 s old");
        assert_eq!(age(125_400.0), "2 min 5 s old");
    }

    #[test]
    fn durations_keep_three_digits() {
        assert_eq!(duration(430), "430 µs");
        assert_eq!(duration(12_340), "12.3 ms");
        assert_eq!(duration(312_400), "312 ms");
        assert_eq!(duration(1_240_000), "1.24 s");
        assert_eq!(millis(0.43), "430 µs");
        assert_eq!(fine_micros(0.842), "0.84 µs");
        assert_eq!(fine_micros(13.24), "13.2 µs");
        assert_eq!(fine_micros(1_240.0), "1.2 ms");
    }

    #[test]
    fn small_differences_show_their_magnitude() {
        assert_eq!(difference(0.0), "0");
        assert_eq!(difference(3.1e-7), "3.1e-7");
        assert_eq!(difference(0.0214), "0.021");
        assert_eq!(difference(f32::INFINITY), "not a number");
    }

    #[test]
    fn numbers_have_a_true_minus_and_bytes_their_unit() {
        assert_eq!(decimal(-1.234, 2), "\u{2212}1.23");
        assert_eq!(decimal(-0.001, 2), "0.00");
        assert_eq!(decimal(0.5, 1), "0.5");
        assert_eq!(bytes(4_260_000_000), "4.26 GB");
        assert_eq!(bytes(14_230_000), "14.2 MB");
        assert_eq!(bytes(812_345), "812 kB");
        assert_eq!(capitalized("é fini"), "É fini");
        assert_eq!(capitalized(""), "");
    }

    #[test]
    fn joints_are_named_and_signed_for_people() {
        assert_eq!(plain_name("shoulder_pan"), "Shoulder pan");
        assert_eq!(plain_name("overview.depth"), "Overview depth");
        assert_eq!(plain_name(""), "");
        assert_eq!(joint_value(-12.34, "deg"), "\u{2212}12.3°");
        assert_eq!(joint_value(40.0, "percent"), "40.0 %");
        assert_eq!(count(12_400_000), "12.4 M");
        assert_eq!(count(5_442_196_208), "5.44 B");
    }
}
