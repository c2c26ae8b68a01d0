//! The observation a golden was made from.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::panic)]

use molmoact2::Observation;
use vision::RgbImage;

use super::Golden;

pub struct Scene {
    pub images: Vec<RgbImage>,
    pub state: Vec<f32>,
    pub instruction: String,
    pub tag: String,
}

impl Scene {
    pub fn of(golden: &Golden) -> Self {
        let mut images = Vec::new();
        while golden.has(&format!("image.{}", images.len())) {
            let name = format!("image.{}", images.len());
            let [height, width, 3] = golden.shape(&name)[..] else {
                panic!()
            };
            images.push(RgbImage::new(width, height, golden.bytes(&name)).unwrap());
        }
        let text = |key: &str| golden.meta(key).as_str().unwrap().to_owned();
        Self {
            images,
            state: golden.floats("state"),
            instruction: text("task"),
            tag: text("tag"),
        }
    }

    pub fn observation(&self) -> Observation<'_> {
        Observation {
            images: &self.images,
            state: &self.state,
            instruction: &self.instruction,
            tag: &self.tag,
        }
    }
}
