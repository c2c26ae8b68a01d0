//! The network, as parts that can be run and tested one by one.

pub(crate) mod connector;
pub(crate) mod expert;
pub(crate) mod positions;
pub(crate) mod readback;
pub(crate) mod rows;
pub(crate) mod sequences;
pub(crate) mod text_model;
pub(crate) mod token_gain;
pub(crate) mod vit;

use burn_tensor::{Device, Tensor, TensorData};
use layers::KvCache;

use crate::input::images::ImageBatch;
use crate::network::connector::{Connector, PoolPlan};
use crate::network::expert::Expert;
use crate::network::rows::index_tensor;
use crate::network::text_model::TextModel;
use crate::network::token_gain::DepthGate;
use crate::network::vit::Vit;

/// All parts of a checkpoint's network, on one device.
#[derive(Debug)]
pub struct Network {
    pub(crate) vit: Vit,
    pub(crate) connector: Connector,
    pub(crate) text: TextModel,
    pub(crate) expert: Option<Expert>,
    pub(crate) depth_gate: Option<DepthGate>,
    pub(crate) device: Device,
    pub(crate) weight_bytes: u64,
}

impl Network {
    /// The vision tower.
    pub fn vit(&self) -> &Vit {
        &self.vit
    }

    /// Pooling and projection of image features.
    pub fn connector(&self) -> &Connector {
        &self.connector
    }

    /// The language model.
    pub fn text(&self) -> &TextModel {
        &self.text
    }

    /// The action expert, if the checkpoint has one.
    pub fn expert(&self) -> Option<&Expert> {
        self.expert.as_ref()
    }

    /// The gate over the expert's view of depth tokens, if the checkpoint has one.
    pub fn depth_gate(&self) -> Option<&DepthGate> {
        self.depth_gate.as_ref()
    }

    /// Bytes of the weights, on the device and on the host.
    pub fn weight_bytes(&self) -> u64 {
        self.weight_bytes
    }

    /// The device the network is on.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Image features for the language model.
    ///
    /// - `patches`: `[images, patches, patch_values]`.
    ///
    /// Returns `[image tokens, hidden]`.
    pub fn encode_images(&self, patches: Tensor<3>, plan: &PoolPlan) -> Tensor<2> {
        self.connector.forward(self.vit.forward(patches), plan)
    }

    /// Image features of prepared images, `[image tokens, hidden]`.
    pub(crate) fn encode_batch(&self, batch: ImageBatch) -> Tensor<2> {
        let shape = [batch.crops, batch.patches, batch.patch_len];
        let patches = Tensor::from_data(TensorData::new(batch.values, shape), &self.device);
        let plan = PoolPlan::new(batch.pool_indices, batch.window);
        self.encode_images(patches, &plan)
    }

    /// Embeddings of the prompt with the image features **added** to the tokens of
    /// `image_patch_id`, in order. `features` has as many rows as the prompt has such tokens.
    pub fn embed_prompt(
        &self,
        ids: &[u32],
        image_patch_id: u32,
        features: Option<Tensor<2>>,
    ) -> Tensor<2> {
        let embedded = self.text.embed(ids);
        let Some(features) = features else {
            return embedded;
        };
        // Row 0 is "no image here", row k is feature k - 1.
        let [_, hidden] = features.dims();
        let table = Tensor::cat(vec![Tensor::zeros([1, hidden], &self.device), features], 0);
        let mut next = 0;
        let rows = ids
            .iter()
            .map(|&id| {
                if id == image_patch_id {
                    next += 1;
                    next
                } else {
                    0
                }
            })
            .collect();
        embedded + table.select(0, index_tensor(rows, &self.device))
    }

    /// An empty cache for this network.
    pub fn new_cache(&self) -> KvCache {
        KvCache::new()
    }
}
