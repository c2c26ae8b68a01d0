//! The connector between vision and language: attention pooling over windows of patches, then a gated projection to
//! the width of the language model.

use burn_tensor::{Device, Tensor, TensorData, activation};
use layers::{GatedMlp, Linear, MASK_VALUE};

use crate::network::rows::index_tensor;

/// Windows of patches, one for each output token.
#[derive(Debug, Clone)]
pub struct PoolPlan {
    /// Rows of the feature table, `-1` for "outside the image", `tokens * window` of them.
    indices: Vec<i32>,
    window: usize,
}

impl PoolPlan {
    /// From indices `[tokens, window]`, row-major. An index counts patches over all images; a negative one is a
    /// position outside the image. Incomplete last rows are dropped.
    pub fn new(indices: Vec<i32>, window: usize) -> Self {
        let window = window.max(1);
        let mut indices = indices;
        indices.truncate(indices.len() / window * window);
        Self { indices, window }
    }

    /// Number of windows, the empty ones included.
    pub fn tokens(&self) -> usize {
        self.indices.len() / self.window
    }

    /// Largest patch index, or `None` if no window holds a patch.
    pub fn largest(&self) -> Option<usize> {
        self.indices
            .iter()
            .filter_map(|&index| usize::try_from(index).ok())
            .max()
    }

    fn windows(&self) -> impl Iterator<Item = &[i32]> {
        self.indices.chunks_exact(self.window)
    }

    /// Windows that hold at least one patch; only they become tokens.
    fn occupied(&self) -> Vec<i32> {
        self.windows()
            .zip(0..)
            .filter(|(window, _)| window.iter().any(|&index| index >= 0))
            .map(|(_, row)| row)
            .collect()
    }
}

/// Attention pooling followed by the gated projection.
#[derive(Debug)]
pub struct Connector {
    /// Queries, already scaled by `1 / sqrt(head_dim)`.
    pub(crate) query: Linear,
    /// Keys and values side by side.
    pub(crate) key_value: Linear,
    pub(crate) out: Linear,
    pub(crate) projector: GatedMlp,
    pub(crate) heads: usize,
    pub(crate) kv_heads: usize,
    pub(crate) head_dim: usize,
    /// True if positions outside the image are excluded from mean and attention; otherwise they count as zero
    /// features.
    pub(crate) masked: bool,
}

impl Connector {
    /// Pooled and projected image features.
    ///
    /// - `features`: `[patches over all images, features]` from [`crate::network::vit::Vit`].
    ///
    /// Returns `[occupied windows, text hidden size]`, in window order.
    pub fn forward(&self, features: Tensor<2>, plan: &PoolPlan) -> Tensor<2> {
        let device = features.device();
        let projected = self.projector.forward(self.pool(features, plan));
        let occupied = plan.occupied();
        if occupied.len() == plan.tokens() {
            projected
        } else {
            projected.select(0, index_tensor(occupied, &device))
        }
    }

    /// The attention pooling alone: `[windows, hidden]`, empty windows included.
    pub fn pool(&self, features: Tensor<2>, plan: &PoolPlan) -> Tensor<2> {
        let device = features.device();
        let [patches, width] = features.dims();
        let (tokens, window) = (plan.tokens(), plan.window);
        let (kv_heads, head_dim) = (self.kv_heads, self.head_dim);
        let group = self.heads / kv_heads;

        let gathered = self.gather(features, plan, patches, &device);
        let shares = self.shares(plan);
        let shares = Tensor::<3>::from_data(TensorData::new(shares, [tokens, 1, 1]), &device);
        let mean = gathered.clone().reshape([tokens, window, width]).sum_dim(1) * shares;

        // One query and a handful of keys per token: elementwise products are cheaper than thousands of tiny matrix
        // products. Axes: token, window position, kv head, query in group, value.
        let query = self
            .query
            .forward(mean.reshape([tokens, width]))
            .reshape([tokens, 1, kv_heads, group, head_dim]);
        let pairs =
            self.key_value
                .forward(gathered)
                .reshape([tokens, window, 2 * kv_heads, 1, head_dim]);
        let key = pairs.clone().narrow(2, 0, kv_heads);
        let value = pairs.narrow(2, kv_heads, kv_heads);
        let mut scores = (query * key).sum_dim(4);
        if let Some(bias) = self.bias(plan, &device) {
            scores = scores + bias;
        }
        let mixed = (activation::softmax(scores, 1) * value).sum_dim(1);
        self.out
            .forward(mixed.reshape([tokens, self.heads * head_dim]))
    }

    /// The features of every position of every window, zero outside the image: `[tokens * window, features]`.
    fn gather(
        &self,
        features: Tensor<2>,
        plan: &PoolPlan,
        patches: usize,
        device: &Device,
    ) -> Tensor<2> {
        let outside = plan.indices.iter().any(|&index| index < 0);
        let table = if outside {
            let [_, width] = features.dims();
            Tensor::cat(vec![features, Tensor::zeros([1, width], device)], 0)
        } else {
            features
        };
        let rows = plan
            .indices
            .iter()
            .map(|&index| if index < 0 { patches as i32 } else { index })
            .collect();
        table.select(0, index_tensor(rows, device))
    }

    /// Factors that turn the sum of each window into the mean that its query is computed from.
    fn shares(&self, plan: &PoolPlan) -> Vec<f32> {
        plan.windows()
            .map(|window| {
                let counted = if self.masked {
                    window.iter().filter(|&&index| index >= 0).count().max(1)
                } else {
                    window.len()
                };
                1.0 / counted as f32
            })
            .collect()
    }

    /// Bias of the scores that masks positions outside the image, if they are excluded.
    fn bias(&self, plan: &PoolPlan, device: &Device) -> Option<Tensor<5>> {
        let any = self.masked && plan.indices.iter().any(|&index| index < 0);
        any.then(|| {
            let closed: Vec<f32> = plan
                .indices
                .iter()
                .map(|&index| if index < 0 { MASK_VALUE } else { 0.0 })
                .collect();
            let shape = [plan.tokens(), plan.window, 1, 1, 1];
            Tensor::from_data(TensorData::new(closed, shape), device)
        })
    }
}
