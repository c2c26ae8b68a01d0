//! Probe of one device: the self-test, then a short timing.

use burn_tensor::{Device, Tensor, TensorData};
use protocol::worker::{ComputeDevice, ComputeKind, SelfTestCheck, TimedProduct, Verdict};

use crate::clock::now_millis;

/// Sides of the timed products, small first.
const SIZES: [u32; 2] = [128, 512];
/// Repetitions after the warm-up; the median is reported.
const REPETITIONS: usize = 3;
/// A device that needs longer than this for the small product skips the large one, which would take 64 times as
/// long without changing the choice.
const SLOW_MILLIS: f64 = 20.0;
/// Slowdown against a device that passed from which on the self-test is postponed.
const TOO_SLOW: f64 = 10.0;

/// The report of a device that is about to be tested.
pub fn new_report(kind: ComputeKind, name: &str) -> ComputeDevice {
    ComputeDevice {
        kind,
        name: name.to_owned(),
        verdict: Verdict::Testing,
        checks: vec![],
        products: vec![],
        probe_millis: 0.0,
    }
}

/// Runs the self-test and writes its verdict and checks into `report`.
pub async fn self_test(device: &Device, report: &mut ComputeDevice) {
    let result = layers::self_test(device).await;
    report.verdict = match result.refusal() {
        None => Verdict::Passed,
        Some(why) => Verdict::Refused(why),
    };
    report.checks = result
        .checks
        .into_iter()
        .map(|check| SelfTestCheck {
            name: check.name,
            max_error: check.max_error,
            tolerance: check.tolerance,
            passed: check.passed,
        })
        .collect();
}

/// The reason to postpone the self-test of a device until a viewer chooses it: its first product took so much longer
/// than on a device that passed that speed would never choose it. On a software adapter the test compiles shaders on
/// every core for most of a minute.
pub fn postponement(slow: TimedProduct, passed: &[ComputeDevice]) -> Option<String> {
    let fast = passed
        .iter()
        .filter(|device| device.verdict == Verdict::Passed)
        .flat_map(|device| &device.products)
        .find(|product| product.size == slow.size)?;
    (slow.millis > SLOW_MILLIS && slow.millis > TOO_SLOW * fast.millis).then(|| {
        format!(
            "a {size}×{size} product takes {:.0} ms, {:.1} ms on the CPU; choose it to test it",
            slow.millis,
            fast.millis,
            size = slow.size
        )
    })
}

/// Times the smallest product only.
///
/// # Errors
/// See [`time_products`].
pub async fn time_smallest(device: &Device) -> Result<TimedProduct, String> {
    let [smallest, ..] = SIZES;
    time_product(device, smallest).await
}

/// Times square products, each after one that warms up (uploads, compiles).
///
/// # Errors
/// burn's message when a result cannot be read back.
pub async fn time_products(device: &Device) -> Result<Vec<TimedProduct>, String> {
    let mut products: Vec<TimedProduct> = Vec::new();
    for size in SIZES {
        if products
            .last()
            .is_some_and(|small| small.millis > SLOW_MILLIS)
        {
            break;
        }
        products.push(time_product(device, size).await?);
    }
    Ok(products)
}

async fn time_product(device: &Device, size: u32) -> Result<TimedProduct, String> {
    let side = size as usize;
    let values: Vec<f32> = (0..side * side)
        .map(|i| (i % 17) as f32 / 17.0 - 0.5)
        .collect();
    let matrix = Tensor::<2>::from_data(TensorData::new(values, [side, side]), device);
    let mut millis = Vec::new();
    for _ in 0..=REPETITIONS {
        let started_millis = now_millis();
        let product = matrix.clone().matmul(matrix.clone());
        product
            .into_data_async()
            .await
            .map_err(|e| format!("{e:?}"))?;
        millis.push(now_millis() - started_millis);
    }
    Ok(TimedProduct {
        size,
        millis: median(millis.get(1..).unwrap_or_default()),
    })
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
        .get(sorted.len() / 2)
        .copied()
        .unwrap_or(f64::INFINITY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_path_passes_and_is_timed() {
        let device = layers::device::cpu();
        let mut report = new_report(ComputeKind::Cpu, "CPU");
        layers::block_on(self_test(&device, &mut report));
        assert_eq!(report.verdict, Verdict::Passed);
        assert!(report.checks.len() >= 4 && report.checks.iter().all(|check| check.passed));
        let products = layers::block_on(time_products(&device)).unwrap_or_default();
        assert!(!products.is_empty());
        assert!(products.iter().all(|p| p.millis > 0.0 && p.gflops() > 0.0));
    }

    #[test]
    fn only_a_device_that_is_hopelessly_slow_is_postponed() {
        let mut cpu = new_report(ComputeKind::Cpu, "CPU");
        cpu.products = vec![TimedProduct {
            size: 128,
            millis: 0.2,
        }];
        let timed = |millis| TimedProduct { size: 128, millis };
        assert_eq!(
            postponement(timed(60.0), &[cpu.clone()]),
            None,
            "nothing has passed yet"
        );
        cpu.verdict = Verdict::Passed;
        assert!(postponement(timed(60.0), &[cpu.clone()]).is_some_and(|why| why.contains("60 ms")));
        assert_eq!(
            postponement(timed(4.0), &[cpu.clone()]),
            None,
            "a real GPU's read-back"
        );
        cpu.products = vec![timed(15.0)];
        assert_eq!(postponement(timed(60.0), &[cpu]), None, "a busy machine");
    }

    #[test]
    fn the_median_of_nothing_is_infinite() {
        assert_eq!(median(&[]), f64::INFINITY);
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
    }
}
