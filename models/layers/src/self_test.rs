//! Numerical self-test of a device: a few operations with known answers.
//!
//! Software Vulkan drivers have been seen to return a wrong 512×512 product with no error while
//! small products and the softmax beside it were right, and a browser skips a shader that fails
//! validation and leaves old memory in its place. So the sizes differ, the answers are either
//! closed forms or exact integer arithmetic done here on the host, and every element is compared.

use burn_tensor::{Device, Int, Tensor, TensorData, activation};

/// One operation of the self-test.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Check {
    /// The operation and its size, such as `"matmul 512x512x512"`.
    pub name: String,
    /// Largest absolute difference from the known answer; infinite when the result was not a
    /// number, had the wrong length or could not be read back.
    pub max_error: f64,
    /// Largest difference that counts as right.
    pub tolerance: f64,
    /// True if `max_error` is within `tolerance`.
    pub passed: bool,
}

/// Result of the self-test on one device.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct SelfTestReport {
    /// Every operation tried, in order.
    pub checks: Vec<Check>,
}

impl SelfTestReport {
    /// True if the device may be used.
    pub fn passed(&self) -> bool {
        !self.checks.is_empty() && self.checks.iter().all(|check| check.passed)
    }

    /// Reason why the device must not be used; `None` if it may.
    pub fn refusal(&self) -> Option<String> {
        if self.checks.is_empty() {
            return Some("the self-test did not run".to_owned());
        }
        let failed: Vec<String> = self
            .checks
            .iter()
            .filter(|check| !check.passed)
            .map(|check| {
                format!(
                    "{} is off by {:.3e} (allowed {:.0e})",
                    check.name, check.max_error, check.tolerance
                )
            })
            .collect();
        (!failed.is_empty()).then(|| format!("wrong results: {}", failed.join("; ")))
    }
}

/// Runs every check on `device`. Takes milliseconds on a CPU, and as long as the compilation of
/// a dozen shaders on a GPU.
///
/// A driver may also crash or never answer; protecting against that is the caller's part (a
/// child process on a server, a timer in a browser).
pub async fn self_test(device: &Device) -> SelfTestReport {
    let mut checks = Vec::new();
    for [rows, inner, columns] in [[3, 5, 4], [1, 96, 257], [64, 100, 33], [128, 384, 130]] {
        checks.push(integer_matmul(device, rows, inner, columns).await);
    }
    checks.push(cosine_matmul(device, 512).await);
    checks.push(batched_matmul(device).await);
    checks.push(softmax(device, 7, 33).await);
    checks.push(softmax(device, 64, 1000).await);
    checks.push(sum_of_rows(device).await);
    checks.push(mean_of_columns(device).await);
    checks.push(gather(device).await);
    checks.push(elementwise(device).await);
    SelfTestReport { checks }
}

/// Small integers that follow no power-of-two pattern, `-6 ..= 6`.
fn left(row: usize, column: usize) -> i32 {
    ((row * 31 + column * 17) % 13) as i32 - 6
}

/// Small integers, `-5 ..= 5`.
fn right(row: usize, column: usize) -> i32 {
    ((row * 7 + column * 29) % 11) as i32 - 5
}

/// A matrix of `entry(row, column)`, row-major.
fn grid<T>(rows: usize, columns: usize, entry: impl Fn(usize, usize) -> T) -> Vec<T> {
    (0..rows)
        .flat_map(|row| (0..columns).map(move |column| (row, column)))
        .map(|(row, column)| entry(row, column))
        .collect()
}

fn matrix(
    device: &Device,
    rows: usize,
    columns: usize,
    entry: impl Fn(usize, usize) -> f32,
) -> Tensor<2> {
    let values = grid(rows, columns, entry);
    Tensor::from_data(TensorData::new(values, [rows, columns]), device)
}

/// The product of [`left`] and [`right`], in integers. Every sum stays below 2^24, so `f32`
/// holds it exactly whatever the order of summation.
fn integer_product(rows: usize, inner: usize, columns: usize) -> Vec<f64> {
    grid(rows, columns, |row, column| {
        let sum: i32 = (0..inner).map(|k| left(row, k) * right(k, column)).sum();
        f64::from(sum)
    })
}

async fn integer_matmul(device: &Device, rows: usize, inner: usize, columns: usize) -> Check {
    let a = matrix(device, rows, inner, |row, k| left(row, k) as f32);
    let b = matrix(device, inner, columns, |k, column| right(k, column) as f32);
    compare(
        format!("matmul {rows}x{inner}x{columns}"),
        a.matmul(b),
        &integer_product(rows, inner, columns),
        1e-3,
    )
    .await
}

/// `C = cos(2π i k / n)` times itself: `n/2` where `i + j` or `i - j` is a multiple of `n`
/// (`n` where both are), and zero elsewhere. Every element is a full sum with cancellation.
async fn cosine_matmul(device: &Device, n: usize) -> Check {
    let step = std::f64::consts::TAU / n as f64;
    let c = matrix(device, n, n, |i, k| {
        (step * ((i * k) % n) as f64).cos() as f32
    });
    let half = n as f64 / 2.0;
    let expected = grid(n, n, |i, j| {
        let sum = if (i + j) % n == 0 { half } else { 0.0 };
        let difference = if i == j { half } else { 0.0 };
        sum + difference
    });
    let product = c.clone().matmul(c);
    compare(format!("matmul {n}x{n}x{n}"), product, &expected, 2e-3).await
}

/// A stack of products with a transposed right side, as attention makes them.
async fn batched_matmul(device: &Device) -> Check {
    let (batch, rows, inner, columns) = (6, 37, 16, 53);
    let flat = |rows: usize, entry: fn(usize, usize) -> i32| -> Tensor<3> {
        let values: Vec<f32> = grid(batch * rows, inner, |row, k| entry(row, k) as f32);
        Tensor::from_data(TensorData::new(values, [batch, rows, inner]), device)
    };
    let a = flat(rows, left);
    let b = flat(columns, right);
    let expected: Vec<f64> = (0..batch)
        .flat_map(|item| {
            grid(rows, columns, move |row, column| {
                let sum: i32 = (0..inner)
                    .map(|k| left(item * rows + row, k) * right(item * columns + column, k))
                    .sum();
                f64::from(sum)
            })
        })
        .collect();
    compare(
        format!("batched matmul {batch}x{rows}x{inner}x{columns}"),
        a.matmul(b.swap_dims(1, 2)),
        &expected,
        1e-3,
    )
    .await
}

/// Softmax of `ln(j + 1) + shift` is `(j + 1) / (n (n + 1) / 2)` whatever the row's shift.
async fn softmax(device: &Device, rows: usize, n: usize) -> Check {
    let x = matrix(device, rows, n, |row, j| {
        ((j + 1) as f32).ln() + (row as f32 * 9.0 - 20.0)
    });
    let total = (n * (n + 1)) as f64 / 2.0;
    let expected = grid(rows, n, |_, j| (j + 1) as f64 / total);
    let y = activation::softmax(x, 1);
    compare(format!("softmax {rows}x{n}"), y, &expected, 2e-5).await
}

/// Sums down the columns, exact in integers.
async fn sum_of_rows(device: &Device) -> Check {
    let (rows, columns) = (257, 130);
    let x = matrix(device, rows, columns, |row, column| {
        left(row, column) as f32
    });
    let expected: Vec<f64> = (0..columns)
        .map(|column| f64::from((0..rows).map(|row| left(row, column)).sum::<i32>()))
        .collect();
    let name = format!("sum {rows}x{columns} over rows");
    compare(name, x.sum_dim(0), &expected, 1e-3).await
}

/// Means along the rows.
async fn mean_of_columns(device: &Device) -> Check {
    let (rows, columns) = (70, 515);
    let x = matrix(device, rows, columns, |row, column| {
        right(row, column) as f32
    });
    let expected: Vec<f64> = (0..rows)
        .map(|row| {
            let sum: i32 = (0..columns).map(|column| right(row, column)).sum();
            f64::from(sum) / columns as f64
        })
        .collect();
    let name = format!("mean {rows}x{columns} over columns");
    compare(name, x.mean_dim(1), &expected, 1e-5).await
}

/// Rows of a table picked out of order, some twice.
async fn gather(device: &Device) -> Check {
    let (rows, columns, picked) = (1000, 48, 150);
    let row_of = |i: usize| (i * 617 + 13) % 991;
    let table = matrix(device, rows, columns, |row, column| {
        (row * columns + column) as f32
    });
    let indices: Vec<i32> = (0..picked).map(|i| row_of(i) as i32).collect();
    let indices = Tensor::<1, Int>::from_data(TensorData::new(indices, [picked]), device);
    let expected = grid(picked, columns, |i, column| {
        (row_of(i) * columns + column) as f64
    });
    let name = format!("gather {picked} of {rows} rows");
    compare(name, table.select(0, indices), &expected, 0.0).await
}

/// `sigmoid(ln(j + 1)) = (j + 1) / (j + 2)`, then a broadcast product with a root per row.
async fn elementwise(device: &Device) -> Check {
    let (rows, columns) = (19, 77);
    let x = matrix(device, rows, columns, |_, j| ((j + 1) as f32).ln());
    let square = matrix(device, rows, 1, |row, _| ((row + 1) * (row + 1)) as f32);
    let y = activation::sigmoid(x) * square.sqrt().recip();
    let expected = grid(rows, columns, |row, j| {
        (j + 1) as f64 / (j + 2) as f64 / (row + 1) as f64
    });
    compare(format!("elementwise {rows}x{columns}"), y, &expected, 1e-5).await
}

async fn compare<const D: usize>(
    name: String,
    result: Tensor<D>,
    expected: &[f64],
    tolerance: f64,
) -> Check {
    let max_error = match result.into_data_async().await {
        Ok(data) => data
            .as_slice::<f32>()
            .map_or(f64::INFINITY, |found| largest_error(found, expected)),
        Err(_) => f64::INFINITY,
    };
    Check {
        name,
        max_error,
        tolerance,
        passed: max_error <= tolerance,
    }
}

/// Infinite for another length or anything that is not a number.
fn largest_error(found: &[f32], expected: &[f64]) -> f64 {
    if found.len() != expected.len() {
        return f64::INFINITY;
    }
    found
        .iter()
        .zip(expected)
        .map(|(&found, &expected)| {
            let error = (f64::from(found) - expected).abs();
            if error.is_nan() { f64::INFINITY } else { error }
        })
        .fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::print_stdout)]

    use super::*;

    #[test]
    fn the_cpu_backend_passes() {
        let report = crate::block_on(self_test(&crate::device::cpu()));
        for check in &report.checks {
            println!("{:40} max error {:.2e}", check.name, check.max_error);
        }
        assert_eq!(report.refusal(), None);
        assert!(report.passed());
        assert_eq!(report.checks.len(), 12);
    }

    /// From numpy, independent of the arithmetic above:
    /// ```python
    /// i, k, j = np.arange(128), np.arange(384), np.arange(130)
    /// a = (i[:, None] * 31 + k * 17) % 13 - 6
    /// b = (k[:, None] * 7 + j * 29) % 11 - 5
    /// c = a @ b; print(c.sum(), (c * c).sum(), c[0, 0], c[127, 129], c[64, 7])
    /// ```
    #[test]
    fn integer_products_equal_numpys() {
        let c = integer_product(128, 384, 130);
        assert_eq!(c.iter().sum::<f64>(), NUMPY_SUM);
        assert_eq!(c.iter().map(|x| x * x).sum::<f64>(), NUMPY_SQUARES);
        assert_eq!([c[0], c[127 * 130 + 129], c[64 * 130 + 7]], NUMPY_SAMPLES);
    }

    const NUMPY_SUM: f64 = 28.0;
    const NUMPY_SQUARES: f64 = 35_681_526.0;
    const NUMPY_SAMPLES: [f64; 3] = [28.0, -47.0, -24.0];

    #[test]
    fn a_wrong_or_missing_number_is_refused() {
        assert_eq!(largest_error(&[1.0, f32::NAN], &[1.0, 1.0]), f64::INFINITY);
        assert_eq!(largest_error(&[1.0], &[1.0, 1.0]), f64::INFINITY);
        assert_eq!(largest_error(&[1.0, 3.5], &[1.0, 1.0]), 2.5);
        let check = |max_error: f64| Check {
            name: "matmul".to_owned(),
            max_error,
            tolerance: 1e-3,
            passed: max_error <= 1e-3,
        };
        let report = |errors: &[f64]| SelfTestReport {
            checks: errors.iter().copied().map(check).collect(),
        };
        assert!(report(&[0.0, 1e-3]).passed());
        assert!(!report(&[0.0, 15.67]).passed());
        assert!(report(&[0.0, 15.67]).refusal().unwrap().contains("matmul"));
        assert!(!report(&[f64::INFINITY]).passed());
        assert!(!SelfTestReport::default().passed());
    }
}
