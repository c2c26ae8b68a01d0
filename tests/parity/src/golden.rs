//! The reference's numbers for one case.

use anyhow::{Context as _, Result, anyhow, bail};
use burn_tensor::{Device, Tensor, TensorData};
use molmoact2::Observation;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use vision::RgbImage;

/// Arrays by name, and what the header says about the case.
#[derive(Debug)]
pub struct Golden<'a> {
    tensors: SafeTensors<'a>,
    header: Option<serde_json::Value>,
}

impl<'a> Golden<'a> {
    /// Reads a safetensors file.
    ///
    /// # Errors
    /// If it is none, or its header is not what the generator writes.
    pub fn parse(bytes: &'a [u8]) -> Result<Self> {
        let (_, metadata) = SafeTensors::read_metadata(bytes)?;
        let header = match metadata.metadata().as_ref().and_then(|all| all.get("case")) {
            Some(text) => Some(serde_json::from_str(text).context("the header's case")?),
            None => None,
        };
        Ok(Self {
            tensors: SafeTensors::deserialize(bytes)?,
            header,
        })
    }

    /// True if there is an array of this name.
    pub fn has(&self, name: &str) -> bool {
        self.tensors.tensor(name).is_ok()
    }

    fn find(&self, name: &str) -> Result<TensorView<'_>> {
        self.tensors.tensor(name).with_context(|| name.to_owned())
    }

    /// The shape of an array with `D` dimensions.
    ///
    /// # Errors
    /// If it is missing or has another number of dimensions.
    pub fn shape<const D: usize>(&self, name: &str) -> Result<[usize; D]> {
        let shape = self.find(name)?.shape().to_vec();
        shape
            .try_into()
            .map_err(|shape| anyhow!("{name} has the shape {shape:?}, {D} dimensions are expected"))
    }

    /// An array of floats, row-major.
    ///
    /// # Errors
    /// If it is missing or holds something else.
    pub fn floats(&self, name: &str) -> Result<Vec<f32>> {
        let view = self.find(name)?;
        if view.dtype() != Dtype::F32 {
            bail!("{name} is {:?}, floats are expected", view.dtype());
        }
        let (values, _) = view.data().as_chunks::<4>();
        Ok(values.iter().map(|raw| f32::from_le_bytes(*raw)).collect())
    }

    /// An array of whole numbers, row-major; bytes count too.
    ///
    /// # Errors
    /// If it is missing or holds something else.
    pub fn ints(&self, name: &str) -> Result<Vec<i32>> {
        let view = self.find(name)?;
        match view.dtype() {
            Dtype::U8 => Ok(view.data().iter().map(|&byte| i32::from(byte)).collect()),
            Dtype::I32 => {
                let (values, _) = view.data().as_chunks::<4>();
                Ok(values.iter().map(|raw| i32::from_le_bytes(*raw)).collect())
            }
            other => bail!("{name} is {other:?}, whole numbers are expected"),
        }
    }

    /// Token ids.
    ///
    /// # Errors
    /// As [`Golden::ints`], and for a negative one.
    pub fn ids(&self, name: &str) -> Result<Vec<u32>> {
        let ids = self.ints(name)?.into_iter().map(u32::try_from);
        ids.collect::<Result<_, _>>()
            .with_context(|| name.to_owned())
    }

    /// Yes or no per place.
    ///
    /// # Errors
    /// As [`Golden::ints`].
    pub fn flags(&self, name: &str) -> Result<Vec<bool>> {
        Ok(self.ints(name)?.into_iter().map(|flag| flag == 1).collect())
    }

    /// An array of floats on a device.
    ///
    /// # Errors
    /// As [`Golden::floats`] and [`Golden::shape`].
    pub fn tensor<const D: usize>(&self, name: &str, device: &Device) -> Result<Tensor<D>> {
        let shape: [usize; D] = self.shape(name)?;
        let data = TensorData::new(self.floats(name)?, shape);
        Ok(Tensor::from_data(data, device))
    }

    /// An image, `[height, width, 3]` bytes.
    ///
    /// # Errors
    /// If it is missing or no image.
    pub fn image(&self, name: &str) -> Result<RgbImage> {
        let [height, width, _] = self.shape(name)?;
        let bytes = self.find(name)?.data().to_vec();
        RgbImage::new(width, height, bytes).with_context(|| name.to_owned())
    }

    /// `{prefix}0`, `{prefix}1` and so on, as many as there are.
    ///
    /// # Errors
    /// As [`Golden::image`].
    pub fn images(&self, prefix: &str) -> Result<Vec<RgbImage>> {
        let names = (0..).map(|index| format!("{prefix}{index}"));
        names
            .take_while(|name| self.has(name))
            .map(|name| self.image(&name))
            .collect()
    }

    /// A text of the header, such as `task` or `tag`.
    ///
    /// # Errors
    /// If the header has no such text.
    pub fn text(&self, key: &str) -> Result<String> {
        self.header
            .as_ref()
            .and_then(|header| header.get(key))
            .and_then(serde_json::Value::as_str)
            .map(str::to_owned)
            .with_context(|| format!("the header has no {key}"))
    }

    /// A number of the header, such as `rate`.
    ///
    /// # Errors
    /// If the header has no such number.
    pub fn number(&self, key: &str) -> Result<f64> {
        self.header
            .as_ref()
            .and_then(|header| header.get(key))
            .and_then(serde_json::Value::as_f64)
            .with_context(|| format!("the header has no {key}"))
    }

    /// Whole numbers of the header.
    ///
    /// # Errors
    /// If the header has no such list.
    pub fn numbers(&self, key: &str) -> Result<Vec<u64>> {
        let list = self.header.as_ref().and_then(|header| header.get(key));
        list.and_then(serde_json::Value::as_array)
            .and_then(|list| list.iter().map(serde_json::Value::as_u64).collect())
            .with_context(|| format!("the header has no {key}"))
    }

    /// The observation that the case was made from.
    ///
    /// # Errors
    /// If a part of it is missing.
    pub fn scene(&self) -> Result<Scene> {
        Ok(Scene {
            images: self.images("image.")?,
            state: self.floats("state")?,
            task: self.text("task")?,
            tag: self.text("tag")?,
        })
    }
}

/// An observation, owned.
#[derive(Debug, Clone)]
pub struct Scene {
    /// Frames in the tag's order.
    pub images: Vec<RgbImage>,
    /// In robot units.
    pub state: Vec<f32>,
    /// As a person wrote it.
    pub task: String,
    /// Whose statistics apply.
    pub tag: String,
}

impl Scene {
    /// For a policy to look at.
    pub fn observation(&self) -> Observation<'_> {
        Observation {
            images: &self.images,
            state: &self.state,
            instruction: &self.task,
            tag: &self.tag,
        }
    }
}

/// Reads a tensor back.
///
/// # Errors
/// The device's words.
pub async fn values<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>> {
    let data = tensor
        .into_data_async()
        .await
        .map_err(|error| anyhow!("the device: {error:?}"))?;
    let values = data.as_slice::<f32>();
    Ok(values.map_err(|error| anyhow!("{error:?}"))?.to_vec())
}
