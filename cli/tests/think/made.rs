//! A random policy for the simulated robot that reasons about depth, and files for the command line.

use molmoact2::synthesize::{StoredType, SynthesisOptions, synthesize};
use std::path::{Path, PathBuf};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use vision::RgbImage;

/// A temporary checkpoint, deleted on drop.
pub(crate) struct Made {
    root: PathBuf,
    pub(crate) folder: PathBuf,
}

impl Made {
    pub(crate) fn new(test: &str) -> Self {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("think-{test}"));
        std::fs::remove_dir_all(&root).ok();
        std::fs::create_dir_all(&root).unwrap();
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let folder = root.join("checkpoint");
        let options = SynthesisOptions {
            folder: folder.clone(),
            config: Some(repository.join("tests/checkpoints/think.json")),
            stats: Some(repository.join("models/nano/molmoact2/norm_stats.json")),
            stored: StoredType::F32,
            // Random networks repeat tokens; this seed less than others.
            seed: 6,
            shard_bytes: 1 << 30,
        };
        synthesize(&options, &|_, _| {}).unwrap();
        Self { root, folder }
    }

    pub(crate) fn scratch(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub(crate) fn decoder(&self) -> PathBuf {
        self.folder.join(depth_decoder::FILE_NAME)
    }

    /// Writes an image to a file.
    pub(crate) fn image(&self, name: &str, image: &RgbImage) -> PathBuf {
        let path = self.scratch(&format!("{name}.png"));
        let (width, height) = (image.width() as u32, image.height() as u32);
        let colour = image::ExtendedColorType::Rgb8;
        image::save_buffer(&path, image.data(), width, height, colour).unwrap();
        path
    }

    /// Writes codes as an int64 NumPy file.
    pub(crate) fn codes(&self, name: &str, codes: &[u32]) -> PathBuf {
        let header = format!(
            "{{'descr': '<i8', 'fortran_order': False, 'shape': ({},), }}\n",
            codes.len()
        );
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend(u16::try_from(header.len()).unwrap().to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(codes.iter().flat_map(|code| i64::from(*code).to_le_bytes()));
        let path = self.scratch(&format!("{name}.npy"));
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.root).ok();
    }
}

/// A test image.
pub(crate) fn picture() -> RgbImage {
    let bytes = (0..64 * 48 * 3).map(|i| (i * 7 % 251) as u8).collect();
    RgbImage::new(64, 48, bytes).unwrap()
}

/// The body of the response to a GET.
pub(crate) async fn get(address: &str, path: &str) -> Vec<u8> {
    let mut socket = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await.unwrap();
    let end = answer
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap();
    answer.split_off(end + 4)
}
