//! A finished depth map.

/// A depth map that was written.
#[derive(Debug)]
pub(crate) struct DepthMap {
    /// All tokens after the prompt up to `<depth_end>`.
    pub(crate) tokens: Vec<u32>,
    pub(crate) codes: Vec<u32>,
    /// Per code, whether it was written in this call.
    pub(crate) regenerated: Vec<bool>,
    pub(crate) forwards: usize,
    /// Scores of every code that was picked, if asked for.
    pub(crate) logits: Option<Vec<Vec<f32>>>,
}
