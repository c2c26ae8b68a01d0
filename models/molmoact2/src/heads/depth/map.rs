//! A finished depth map.

/// A finished depth map.
#[derive(Debug)]
pub(crate) struct DepthMap {
    /// All tokens after the prompt up to `<depth_end>`.
    pub(crate) tokens: Vec<u32>,
    pub(crate) codes: Vec<u32>,
    /// Per code, whether it was generated in this call.
    pub(crate) regenerated: Vec<bool>,
    pub(crate) forwards: usize,
    /// Logits of every generated code, if requested.
    pub(crate) logits: Option<Vec<Vec<f32>>>,
}
