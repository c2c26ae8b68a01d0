//! Checks that a scorer fits into this tab before anything is downloaded.

use layers::Precision;
use protocol::score::ScorerManifest;
use protocol::worker::ComputeKind;

/// Limits of a WebGPU adapter (bytes).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdapterLimits {
    /// Largest buffer.
    pub buffer_bytes: u64,
    /// Largest binding of a buffer to a shader.
    pub binding_bytes: u64,
}

/// WebAssembly addresses 4 GiB; modules, activations and one tensor in transit need the rest.
const CPU_WEIGHT_BYTES: u64 = 3 << 30;
/// Projections that read the same input are joined into one matrix, at most two of the largest.
const JOINED: u64 = 2;

/// Default precision of the weights. On the CPU, which widens everything to `f32`, the most exact one that fits; on
/// WebGPU `f16` where the adapter supports it, which halves the memory.
pub fn default_precision(manifest: &ScorerManifest, kind: ComputeKind, has_f16: bool) -> Precision {
    match kind {
        ComputeKind::Webgpu if has_f16 && manifest.dtype != "F32" => Precision::F16,
        ComputeKind::Webgpu => Precision::F32,
        ComputeKind::Cpu => Precision::ALL
            .into_iter()
            .find(|precision| weight_bytes(manifest, *precision) <= CPU_WEIGHT_BYTES)
            .unwrap_or(Precision::Int4),
    }
}

/// Approximate memory of the weights (bytes).
pub fn weight_bytes(manifest: &ScorerManifest, precision: Precision) -> u64 {
    precision.matrix_bytes(1, manifest.parameters)
}

/// The reason that a scorer does not fit, with a remedy; `None` if it fits.
pub fn refusal(
    manifest: &ScorerManifest,
    kind: ComputeKind,
    precision: Precision,
    limits: Option<AdapterLimits>,
) -> Option<String> {
    let weights = weight_bytes(manifest, precision);
    let elsewhere = if manifest.studio_device.is_some() {
        "score on the studio instead"
    } else {
        "start the studio with a smaller scorer, or let the studio score (serve --score-here)"
    };
    match kind {
        ComputeKind::Cpu => (weights > CPU_WEIGHT_BYTES).then(|| {
            format!(
                "its weights take {} in {precision}, and a page has at most {} on the CPU; {elsewhere}",
                gigabytes(weights),
                gigabytes(CPU_WEIGHT_BYTES)
            )
        }),
        ComputeKind::Webgpu => {
            let limits = limits?;
            let largest = precision.matrix_bytes(1, manifest.largest_tensor_values) * JOINED;
            let most = limits.buffer_bytes.min(limits.binding_bytes);
            (largest > most).then(|| {
                format!(
                    "its largest matrix takes {} in {precision}, and this adapter grants {} at a time; {elsewhere}",
                    gigabytes(largest),
                    gigabytes(most)
                )
            })
        }
    }
}

fn gigabytes(bytes: u64) -> String {
    format!("{:.2} GB", bytes as f64 / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(parameters: u64, largest: u64) -> ScorerManifest {
        ScorerManifest {
            name: "Qwen3-VL".into(),
            id: "0".into(),
            note: String::new(),
            is_nano: false,
            parameters,
            dtype: "BF16".into(),
            largest_tensor_values: largest,
            files: vec![],
            studio_device: None,
        }
    }

    #[test]
    fn on_the_cpu_the_most_exact_that_fits_is_taken_and_what_never_fits_is_refused() {
        let nano = manifest(2_000_000, 1 << 20);
        let two = manifest(2_127_532_032, 2048 * 6144);
        let eight = manifest(8_767_123_696, 4096 * 12288);
        let on_cpu = |manifest: &ScorerManifest| {
            let precision = default_precision(manifest, ComputeKind::Cpu, false);
            (
                precision,
                refusal(manifest, ComputeKind::Cpu, precision, None),
            )
        };
        assert_eq!(on_cpu(&nano), (Precision::F32, None));
        assert_eq!(on_cpu(&two), (Precision::Int8, None));
        let (precision, why) = on_cpu(&eight);
        assert_eq!(precision, Precision::Int4);
        assert!(why.is_some_and(|why| why.contains("GB in int4")));
    }

    #[test]
    fn an_adapter_must_hold_the_largest_matrix() {
        let two = manifest(2_127_532_032, 2048 * 6144);
        let eight = manifest(8_767_123_696, 4096 * 12288);
        let guaranteed = AdapterLimits {
            buffer_bytes: 256 << 20,
            binding_bytes: 128 << 20,
        };
        let refused = |manifest, precision| {
            refusal(manifest, ComputeKind::Webgpu, precision, Some(guaranteed)).is_some()
        };
        assert!(!refused(&two, Precision::F16));
        assert!(refused(&eight, Precision::F16));
        assert_eq!(
            default_precision(&two, ComputeKind::Webgpu, true),
            Precision::F16
        );
        assert_eq!(
            default_precision(&two, ComputeKind::Webgpu, false),
            Precision::F32
        );
    }
}
