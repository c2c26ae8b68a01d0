//! What was compared and how far off it is.

use serde::Serialize;

/// Largest relative difference of a stage in `f32`.
pub const RELATIVE: f64 = 1e-4;
/// Largest difference of a normalised chunk in `f32`.
pub const CHUNK: f64 = 1e-4;

/// How two arrays are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Measure {
    /// The largest difference, relative to the largest expected magnitude.
    Relative,
    /// The largest difference.
    Absolute,
    /// The number of places that differ.
    Exact,
}

/// One comparison.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// What was compared.
    pub stage: String,
    /// How.
    pub measure: Measure,
    /// The difference; `None` where there is no number for it: other lengths, values that are not finite, nothing to
    /// compare with.
    pub error: Option<f64>,
    /// The most that passes.
    pub limit: f64,
    /// True if it passed.
    pub passed: bool,
}

/// Comparisons as they come; all of them are made before anybody judges.
#[derive(Debug, Default, Clone, PartialEq, Serialize)]
pub struct Findings {
    /// In the order they were made.
    pub all: Vec<Finding>,
}

impl Findings {
    /// Largest difference relative to the largest expected magnitude. Expectations that are all zeros would prove
    /// nothing and do not pass.
    pub fn relative(&mut self, stage: &str, found: &[f32], expected: &[f32], limit: f64) {
        let largest = expected
            .iter()
            .fold(0.0_f64, |most, x| most.max(f64::from(x.abs())));
        let error = largest_difference(found, expected).map(|error| error / largest);
        self.push(stage, Measure::Relative, error, limit);
    }

    /// Largest difference.
    pub fn absolute(&mut self, stage: &str, found: &[f32], expected: &[f32], limit: f64) {
        let error = largest_difference(found, expected);
        self.push(stage, Measure::Absolute, error, limit);
    }

    /// Equal in every place.
    pub fn exact<T: PartialEq>(&mut self, stage: &str, found: &[T], expected: &[T]) {
        let same_length = found.len() == expected.len() && !expected.is_empty();
        let differ = found.iter().zip(expected).filter(|(a, b)| a != b).count();
        let error = same_length.then_some(differ as f64);
        self.push(stage, Measure::Exact, error, 0.0);
    }

    /// Something that has to hold.
    pub fn holds(&mut self, stage: &str, holds: bool) {
        self.exact(stage, &[holds], &[true]);
    }

    fn push(&mut self, stage: &str, measure: Measure, error: Option<f64>, limit: f64) {
        let error = error.filter(|error| error.is_finite());
        self.all.push(Finding {
            stage: stage.to_owned(),
            measure,
            error,
            limit,
            passed: error.is_some_and(|error| error <= limit),
        });
    }

    /// Those that did not pass.
    pub fn failed(&self) -> Vec<&Finding> {
        self.all.iter().filter(|finding| !finding.passed).collect()
    }
}

fn largest_difference(found: &[f32], expected: &[f32]) -> Option<f64> {
    if found.len() != expected.len() || expected.is_empty() {
        return None;
    }
    let mut most = 0.0_f64;
    for (a, b) in found.iter().zip(expected) {
        let difference = f64::from((a - b).abs());
        // `max` would drop a NaN.
        if !difference.is_finite() {
            return None;
        }
        most = most.max(difference);
    }
    Some(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(compare: impl Fn(&mut Findings)) -> Finding {
        let mut findings = Findings::default();
        compare(&mut findings);
        findings.all.remove(0)
    }

    #[test]
    fn the_largest_difference_decides() {
        let found = one(|f| f.absolute("x", &[1.0, 2.5], &[1.0, 2.0], 0.4));
        assert_eq!((found.error, found.passed), (Some(0.5), false));
        let found = one(|f| f.relative("x", &[1.0, 2.5], &[1.0, 2.0], 0.3));
        assert_eq!((found.error, found.passed), (Some(0.25), true));
        let found = one(|f| f.exact("x", &[1, 2, 3], &[1, 3, 4]));
        assert_eq!((found.error, found.passed), (Some(2.0), false));
    }

    #[test]
    fn what_proves_nothing_does_not_pass() {
        for found in [
            one(|f| f.absolute("nan", &[f32::NAN, 0.0], &[0.0, 0.0], 1.0)),
            one(|f| f.absolute("both infinite", &[f32::INFINITY], &[f32::INFINITY], 1.0)),
            one(|f| f.absolute("short", &[0.0], &[0.0, 0.0], 1.0)),
            one(|f| f.absolute("empty", &[], &[], 1.0)),
            one(|f| f.relative("zeros", &[0.0], &[0.0], 1.0)),
            one(|f| f.exact("short", &[1], &[1, 2])),
            one(|f| f.exact::<u32>("empty", &[], &[])),
        ] {
            assert!(!found.passed && found.error.is_none(), "{found:?}");
        }
    }
}
