//! Work on runs of values, side by side.

/// Calls `work` with every run of `size` values and its number, on all cores where there are several.
pub(crate) fn each_chunk(values: &mut [f32], size: usize, work: impl Fn(usize, &mut [f32]) + Sync) {
    let size = size.max(1);
    #[cfg(not(target_arch = "wasm32"))]
    {
        use rayon::prelude::*;
        values
            .par_chunks_mut(size)
            .enumerate()
            .for_each(|(index, chunk)| work(index, chunk));
    }
    #[cfg(target_arch = "wasm32")]
    for (index, chunk) in values.chunks_mut(size).enumerate() {
        work(index, chunk);
    }
}
