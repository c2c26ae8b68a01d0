//! Choice of the device to compute on.
//!
//! Only a device that passed the self-test can be chosen, even by a viewer. Among several, the one that was measured
//! to be faster is used: a software WebGPU adapter is a hundred times slower than the CPU path, and a real GPU wins
//! only where the computation outweighs the read-back.

use protocol::worker::{ComputeDevice, ComputeKind, TimedProduct, Verdict};

/// A decision and its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// Device to compute on, if any.
    pub chosen: Option<ComputeKind>,
    /// True if the viewer chose it.
    pub by_visitor: bool,
    /// Reason, as a sentence.
    pub reason: String,
}

/// Name of a device kind within a sentence.
pub fn kind_name(kind: ComputeKind) -> &'static str {
    match kind {
        ComputeKind::Cpu => "the CPU",
        ComputeKind::Webgpu => "WebGPU",
    }
}

/// Chooses among `devices`; follows `preference` if that device passed its self-test.
pub fn choose(devices: &[ComputeDevice], preference: Option<ComputeKind>) -> Choice {
    let passed: Vec<&ComputeDevice> = devices
        .iter()
        .filter(|device| device.verdict == Verdict::Passed)
        .collect();
    if let Some(kind) = preference {
        if passed.iter().any(|device| device.kind == kind) {
            return Choice {
                chosen: Some(kind),
                by_visitor: true,
                reason: "You chose it.".to_owned(),
            };
        }
        let automatic = choose(devices, None);
        return Choice {
            reason: format!(
                "You chose {}, but it {}. {}",
                kind_name(kind),
                why_not(devices, kind),
                automatic.reason
            ),
            ..automatic
        };
    }
    let automatic = |chosen: Option<ComputeKind>, reason: String| Choice {
        chosen,
        by_visitor: false,
        reason,
    };
    match passed.as_slice() {
        [] if devices.iter().any(|d| d.verdict == Verdict::Testing) => {
            automatic(None, "The devices are being tested.".to_owned())
        }
        [] => automatic(
            None,
            "No device of this browser passed the self-test, so nothing is computed here."
                .to_owned(),
        ),
        [only] => automatic(
            Some(only.kind),
            format!("Only {} passed the self-test.", kind_name(only.kind)),
        ),
        [first, others @ ..] => {
            let fastest =
                others.iter().fold(
                    *first,
                    |best, other| {
                        if is_faster(other, best) { other } else { best }
                    },
                );
            let slower = if fastest.kind == first.kind {
                others.first().copied().unwrap_or(first)
            } else {
                first
            };
            automatic(Some(fastest.kind), speed_comparison(fastest, slower))
        }
    }
}

/// True if `a` is faster than `b` on the largest product that both were timed on. Without a common measurement
/// neither is faster.
fn is_faster(a: &ComputeDevice, b: &ComputeDevice) -> bool {
    common_product(a, b).is_some_and(|(a, b)| a.millis < b.millis)
}

fn common_product(a: &ComputeDevice, b: &ComputeDevice) -> Option<(TimedProduct, TimedProduct)> {
    a.products
        .iter()
        .filter_map(|of_a| {
            let of_b = b.products.iter().find(|p| p.size == of_a.size)?;
            Some((*of_a, *of_b))
        })
        .max_by_key(|(of_a, _)| of_a.size)
}

fn speed_comparison(fastest: &ComputeDevice, slower: &ComputeDevice) -> String {
    match common_product(fastest, slower) {
        Some((fast, slow)) => format!(
            "{} is faster here: a {size}×{size} product takes {:.1} ms, {:.1} ms on {}.",
            capitalized(kind_name(fastest.kind)),
            fast.millis,
            slow.millis,
            kind_name(slower.kind),
            size = fast.size,
        ),
        None => format!(
            "{} was measured; {} was not.",
            capitalized(kind_name(fastest.kind)),
            kind_name(slower.kind)
        ),
    }
}

fn why_not(devices: &[ComputeDevice], kind: ComputeKind) -> String {
    match devices.iter().find(|device| device.kind == kind) {
        None => "was not tested".to_owned(),
        Some(device) => match &device.verdict {
            Verdict::Testing => "is still being tested".to_owned(),
            Verdict::Postponed(why) => format!("is not tested yet ({why})"),
            Verdict::Refused(why) => format!("was refused ({why})"),
            Verdict::Unavailable(why) => format!("is not available ({why})"),
            Verdict::Passed => "passed".to_owned(),
        },
    }
}

fn capitalized(name: &str) -> String {
    let mut letters = name.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn device(kind: ComputeKind, verdict: Verdict, millis: &[(u32, f64)]) -> ComputeDevice {
        ComputeDevice {
            kind,
            name: String::new(),
            verdict,
            checks: vec![],
            products: millis
                .iter()
                .map(|&(size, millis)| TimedProduct { size, millis })
                .collect(),
            probe_millis: 0.0,
        }
    }

    #[test]
    fn the_faster_of_two_that_passed_is_chosen_on_the_largest_common_size() {
        let cpu = device(ComputeKind::Cpu, Verdict::Passed, &[(128, 0.2), (512, 9.0)]);
        let gpu = device(
            ComputeKind::Webgpu,
            Verdict::Passed,
            &[(128, 1.9), (512, 2.5)],
        );
        assert_eq!(
            choose(&[cpu.clone(), gpu.clone()], None).chosen,
            Some(ComputeKind::Webgpu)
        );
        let software = device(ComputeKind::Webgpu, Verdict::Passed, &[(128, 60.0)]);
        let choice = choose(&[cpu, software], None);
        assert_eq!(choice.chosen, Some(ComputeKind::Cpu));
        assert!(choice.reason.contains("128×128") && choice.reason.contains("60.0 ms on WebGPU"));
    }

    #[test]
    fn a_refused_device_is_never_chosen_however_fast_or_preferred() {
        let cpu = device(ComputeKind::Cpu, Verdict::Passed, &[(512, 9.0)]);
        let wrong = Verdict::Refused("wrong results: matmul is off by 1.5e1".into());
        let gpu = device(ComputeKind::Webgpu, wrong, &[(512, 0.1)]);
        for preference in [None, Some(ComputeKind::Webgpu)] {
            let choice = choose(&[cpu.clone(), gpu.clone()], preference);
            assert_eq!(
                (choice.chosen, choice.by_visitor),
                (Some(ComputeKind::Cpu), false)
            );
        }
        let choice = choose(&[gpu], Some(ComputeKind::Webgpu));
        assert_eq!(choice.chosen, None);
        assert!(choice.reason.contains("wrong results"), "{}", choice.reason);
    }

    #[test]
    fn a_viewers_preference_wins_over_speed() {
        let cpu = device(ComputeKind::Cpu, Verdict::Passed, &[(512, 9.0)]);
        let gpu = device(ComputeKind::Webgpu, Verdict::Passed, &[(512, 900.0)]);
        let choice = choose(&[cpu, gpu], Some(ComputeKind::Webgpu));
        assert_eq!(
            (choice.chosen, choice.by_visitor),
            (Some(ComputeKind::Webgpu), true)
        );
    }

    #[test]
    fn a_postponed_device_is_not_used_before_its_test() {
        let cpu = device(ComputeKind::Cpu, Verdict::Passed, &[(128, 0.2)]);
        let slow = Verdict::Postponed("much slower".into());
        let gpu = device(ComputeKind::Webgpu, slow, &[(128, 60.0)]);
        assert_eq!(
            choose(&[cpu.clone(), gpu.clone()], None).chosen,
            Some(ComputeKind::Cpu)
        );
        let preferred = choose(&[cpu, gpu], Some(ComputeKind::Webgpu));
        assert_eq!(
            (preferred.chosen, preferred.by_visitor),
            (Some(ComputeKind::Cpu), false)
        );
    }

    #[test]
    fn nothing_is_chosen_while_the_first_device_is_being_tested() {
        let choice = choose(&[device(ComputeKind::Cpu, Verdict::Testing, &[])], None);
        assert_eq!(choice.chosen, None);
        assert!(choice.reason.contains("being tested"));
    }
}
