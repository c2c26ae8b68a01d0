//! Work on runs of values, side by side.

/// Least number of values per thread where each costs about a nanosecond: waking a thread costs as much as tens of
/// thousands of them.
const LIGHT: usize = 1 << 15;

/// Calls `work`, which is light, with every run of `size` values and its number; on several cores where there are many.
pub(crate) fn for_each_chunk(
    values: &mut [f32],
    size: usize,
    work: impl Fn(usize, &mut [f32]) + Sync,
) {
    spread(values, size, LIGHT, work);
}

/// The same for `work` that is worth a core however few the values.
pub(crate) fn for_each_heavy_chunk(
    values: &mut [f32],
    size: usize,
    work: impl Fn(usize, &mut [f32]) + Sync,
) {
    spread(values, size, 1, work);
}

/// `least`: values that a thread takes at least.
#[inline(always)]
fn spread(values: &mut [f32], size: usize, least: usize, work: impl Fn(usize, &mut [f32]) + Sync) {
    let size = size.max(1);
    #[cfg(not(target_arch = "wasm32"))]
    {
        use rayon::prelude::*;
        let widest = Widest::new();
        values
            .par_chunks_mut(size)
            .enumerate()
            .with_min_len(least.div_ceil(size))
            .for_each(|(index, chunk)| {
                widest.run(
                    #[inline(always)]
                    || work(index, chunk),
                );
            });
    }
    #[cfg(target_arch = "wasm32")]
    let _ = least;
    #[cfg(target_arch = "wasm32")]
    for (index, chunk) in values.chunks_mut(size).enumerate() {
        work(index, chunk);
    }
}

/// The widest vectors of this processor. Every x86-64 has those of 128 bits, for which everything is compiled; of the
/// others' rules, each has its full width from the beginning.
#[cfg(not(target_arch = "wasm32"))]
#[derive(Clone, Copy)]
struct Widest {
    #[cfg(target_arch = "x86_64")]
    avx2: Option<pulp::x86::V3>,
}

#[cfg(not(target_arch = "wasm32"))]
impl Widest {
    fn new() -> Self {
        Self {
            #[cfg(target_arch = "x86_64")]
            avx2: pulp::x86::V3::try_new(),
        }
    }

    /// `work`, with what is inlined into it compiled for these vectors.
    #[inline(always)]
    fn run(self, work: impl FnOnce()) {
        #[cfg(target_arch = "x86_64")]
        if let Some(avx2) = self.avx2 {
            return avx2.vectorize(work);
        }
        work();
    }
}
