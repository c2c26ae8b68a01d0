//! Golden cases, and calls of the binary with them.

use datasets::npy;
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;
use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// A safetensors file.
pub(crate) struct Tensors(Vec<u8>);

impl Tensors {
    pub(crate) fn open(path: &Path) -> Self {
        Self(std::fs::read(path).unwrap())
    }

    pub(crate) fn with<T>(&self, name: &str, dtypes: &[Dtype], read: impl Fn(&[u8]) -> T) -> T {
        let tensors = SafeTensors::deserialize(&self.0).unwrap();
        let tensor = tensors.tensor(name).unwrap();
        assert!(dtypes.contains(&tensor.dtype()), "{name}");
        read(tensor.data())
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        SafeTensors::deserialize(&self.0)
            .unwrap()
            .tensor(name)
            .is_ok()
    }

    pub(crate) fn shape(&self, name: &str) -> Vec<usize> {
        let tensors = SafeTensors::deserialize(&self.0).unwrap();
        tensors.tensor(name).unwrap().shape().to_vec()
    }

    pub(crate) fn floats(&self, name: &str) -> Vec<f32> {
        self.with(name, &[Dtype::F32], |data| {
            let (values, _) = data.as_chunks::<4>();
            values.iter().map(|raw| f32::from_le_bytes(*raw)).collect()
        })
    }

    pub(crate) fn i32s(&self, name: &str) -> Vec<i64> {
        self.with(name, &[Dtype::I32], |data| {
            let (values, _) = data.as_chunks::<4>();
            let values = values.iter().map(|raw| i32::from_le_bytes(*raw));
            values.map(i64::from).collect()
        })
    }

    pub(crate) fn i64s(&self, name: &str) -> Vec<i64> {
        self.with(name, &[Dtype::I64], |data| {
            let (values, _) = data.as_chunks::<8>();
            values.iter().map(|raw| i64::from_le_bytes(*raw)).collect()
        })
    }

    pub(crate) fn bytes(&self, name: &str) -> Vec<u8> {
        self.with(name, &[Dtype::U8, Dtype::BOOL], <[u8]>::to_vec)
    }

    pub(crate) fn about(&self) -> Value {
        let (_, metadata) = SafeTensors::read_metadata(&self.0).unwrap();
        serde_json::from_str(&metadata.metadata().as_ref().unwrap()["case"]).unwrap()
    }
}

/// A golden case and a folder for the files of one call.
pub(crate) struct Case {
    pub(crate) golden: Tensors,
    pub(crate) checkpoint: PathBuf,
    pub(crate) scratch: PathBuf,
}

impl Case {
    pub(crate) fn open(name: &str, test: &str) -> Self {
        let goldens = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/goldens/molmoact2");
        let scratch = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("act-{test}-{name}"));
        std::fs::create_dir_all(&scratch).unwrap();
        Self {
            golden: Tensors::open(&goldens.join(name).join("golden.safetensors")),
            checkpoint: goldens.join(name).join("checkpoint"),
            scratch,
        }
    }

    /// A frame of the golden as a file.
    pub(crate) fn image(&self, name: &str) -> PathBuf {
        let [height, width, 3] = self.golden.shape(name)[..] else {
            panic!()
        };
        let path = self.scratch.join(format!("{name}.png"));
        let bytes = self.golden.bytes(name);
        image::save_buffer(
            &path,
            &bytes,
            width as u32,
            height as u32,
            image::ExtendedColorType::Rgb8,
        )
        .unwrap();
        path
    }

    pub(crate) fn noise(&self) -> PathBuf {
        let path = self.scratch.join("noise.npy");
        let shape = self.golden.shape("noise");
        npy::write(&path, &shape, &self.golden.floats("noise")).unwrap();
        path
    }

    /// Depth codes of one of the golden's runs, as NumPy saves an int64 array.
    pub(crate) fn codes(&self, run: &str) -> PathBuf {
        let codes = self.golden.i32s(&format!("{run}.depth_codes"));
        let header = format!(
            "{{'descr': '<i8', 'fortran_order': False, 'shape': ({},), }}\n",
            codes.len()
        );
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend(u16::try_from(header.len()).unwrap().to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(codes.iter().flat_map(|code| code.to_le_bytes()));
        let path = self.scratch.join(format!("{run}-codes.npy"));
        std::fs::write(&path, bytes).unwrap();
        path
    }

    pub(crate) fn command(&self, images: &[PathBuf]) -> Command {
        self.command_on(&self.checkpoint, images)
    }

    pub(crate) fn command_on(&self, checkpoint: &Path, images: &[PathBuf]) -> Command {
        let about = self.golden.about();
        // Rust prints the shortest digits that parse to the same number.
        let state: Vec<String> = self
            .golden
            .floats("state")
            .iter()
            .map(ToString::to_string)
            .collect();
        let mut command = Command::new(env!("CARGO_BIN_EXE_policy-studio"));
        command.args(["act", "--device", "cpu", "--json", "--policy"]);
        command.arg(checkpoint);
        command.args(["--state", &state.join(",")]);
        command.args(["--task", about["task"].as_str().unwrap()]);
        command.args(["--tag", about["tag"].as_str().unwrap()]);
        for image in images {
            command.arg("--image").arg(image);
        }
        command
    }

    pub(crate) fn images(&self) -> Vec<PathBuf> {
        (0..)
            .map(|index| format!("image.{index}"))
            .take_while(|name| self.golden.has(name))
            .map(|name| self.image(&name))
            .collect()
    }

    pub(crate) fn dump(&self, mut command: Command) -> (Tensors, Value) {
        let path = self.scratch.join("dump.safetensors");
        let output = command.arg("--dump").arg(&path).output().unwrap();
        (Tensors::open(&path), json(&output))
    }
}

pub(crate) fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
}

pub(crate) fn close(name: &str, found: &[f32], expected: &[f32], limit: f32) {
    assert_eq!(found.len(), expected.len(), "{name}");
    let largest = expected.iter().fold(1.0_f32, |most, x| most.max(x.abs()));
    for (found, expected) in found.iter().zip(expected) {
        let error = (found - expected).abs() / largest;
        assert!(error <= limit, "{name}: {found} against {expected}");
    }
}
