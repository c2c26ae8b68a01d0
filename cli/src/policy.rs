//! Options of the policy and the device, shared by the subcommands.

use super::log;
use anyhow::{Context as _, anyhow, bail};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use molmoact2::{Files, LoadOptions, Precision, Vlm};
use policies::{
    device::{self, Chosen, Wanted},
    molmoact2_policy::{MolmoAct2Policy, PolicyOptions, Source, advice},
    probe::{Gpu, TIME_LIMIT},
};
use std::{
    cell::OnceCell,
    path::{Path, PathBuf},
};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum DeviceArgument {
    /// A GPU that passes the numerical self-test, else the CPU.
    #[default]
    Auto,
    /// The CPU, without probing adapters.
    Cpu,
    /// A GPU through Vulkan, Metal or DirectX.
    Wgpu,
    /// An NVIDIA GPU through CUDA (needs a build with the feature `cuda`).
    Cuda,
}

impl From<DeviceArgument> for Wanted {
    fn from(argument: DeviceArgument) -> Self {
        match argument {
            DeviceArgument::Auto => Self::Auto,
            DeviceArgument::Cpu => Self::Cpu,
            DeviceArgument::Wgpu => Self::Gpu(Gpu::Wgpu),
            DeviceArgument::Cuda => Self::Gpu(Gpu::Cuda),
        }
    }
}

#[derive(Debug, Clone, Args)]
pub(super) struct PolicyArguments {
    /// Checkpoint folder in the Hugging Face layout or in LeRobot's; the nano policy embedded in this binary when absent.
    #[arg(long, value_name = "DIR")]
    policy: Option<PathBuf>,
    /// The checkpoint that a LeRobot folder was made from, for the files that the folder lacks; its weights are not needed.
    #[arg(long, value_name = "DIR", requires = "policy")]
    base: Option<PathBuf>,
    /// Folder of the OpenFAST tokenizer of the policy's action tokens; when absent, openfast/ in the policy's
    /// folder or MolmoAct2-FAST-Tokenizer/ beside it.
    #[arg(long, value_name = "DIR")]
    fast: Option<PathBuf>,
    /// JSON file with `joint_signs` and `joint_offsets`, for a robot whose joint signs or offsets differ from the
    /// checkpoint's: model = sign * robot + offset.
    #[arg(long, value_name = "FILE", requires = "policy")]
    calibration: Option<PathBuf>,
    /// Device of the policy.
    #[arg(long, value_enum, default_value_t)]
    device: DeviceArgument,
    /// Precision of the large weight matrices: f32, f16, bf16, int8 (a factor per output) or int4 (a factor per 32
    /// weights; vision, expert, embeddings and head in int8). A precision that the device cannot compute in is refused.
    #[arg(long, value_name = "TYPE", default_value_t)]
    dtype: Precision,
}

impl PolicyArguments {
    pub(super) fn is_nano(&self) -> bool {
        self.policy.is_none()
    }

    pub(super) fn wanted(&self) -> Wanted {
        self.device.into()
    }

    /// Precision of the large weight matrices.
    pub(super) fn precision(&self) -> Precision {
        self.dtype
    }

    pub(super) fn source(&self) -> Source {
        self.policy.clone().map_or(Source::Nano, Source::Folder)
    }

    pub(super) fn options(&self) -> PolicyOptions {
        PolicyOptions {
            base: self.base.clone(),
            fast: self.fast.clone(),
            calibration: self.calibration.clone(),
            precision: self.dtype,
            ..PolicyOptions::default()
        }
    }

    /// Chooses the device, and reports refused ones on standard error.
    pub(super) fn device(&self) -> anyhow::Result<Chosen> {
        let chosen = choose(self.wanted())?;
        for refused in &chosen.refused {
            log::say(format_args!(
                "not used: {}: {}",
                refused.name, refused.reason
            ));
        }
        Ok(chosen)
    }

    pub(super) fn load(&self, chosen: &Chosen) -> anyhow::Result<MolmoAct2Policy> {
        self.load_as(&self.options(), chosen)
    }

    /// The folder of the policy, if its model only answers questions.
    pub(super) fn plain_vlm(&self) -> anyhow::Result<Option<&Path>> {
        let Some(folder) = self.policy.as_deref() else {
            return Ok(None);
        };
        let plain = Vlm::is_plain(&Files::open_dir(folder)?)
            .with_context(|| format!("cannot load {}", folder.display()))?;
        Ok(plain.then_some(folder))
    }

    /// The named folder, for a model that answers questions.
    pub(super) fn question_model(&self) -> anyhow::Result<&Path> {
        if self.calibration.is_some() {
            bail!("--calibration concerns a robot's joints; it does not apply to questions");
        }
        if self.fast.is_some() {
            bail!("--fast concerns action tokens; it does not apply to questions");
        }
        self.policy.as_deref().context(
            "the built-in nano policy generates actions, not answers; give a vision-language model with --policy DIR, \
             such as Molmo2-ER",
        )
    }

    /// Loads a model that answers questions.
    pub(super) fn load_vlm(&self, folder: &Path, chosen: &Chosen) -> anyhow::Result<Vlm> {
        let mut files = Files::open_dir(folder)?;
        // A base belongs to the policy.
        if let Some(base) = &self.base
            && self.policy.as_deref() == Some(folder)
        {
            files = files.with_base(Files::open_dir(base)?);
        }
        let bar = LoadingBar::default();
        let report = |read, total| bar.update(read, total);
        let options = LoadOptions {
            precision: self.dtype,
            progress: Some(&report),
            ..LoadOptions::default()
        };
        Vlm::load_with(&files, &chosen.device, &options).map_err(|error| {
            // The option concerns the policy, not a second model.
            let advice = if self.policy.as_deref() == Some(folder) {
                advice(&error)
            } else {
                ""
            };
            anyhow!("cannot load {}: {error}{advice}", folder.display())
        })
    }

    pub(super) fn load_as(
        &self,
        options: &PolicyOptions,
        chosen: &Chosen,
    ) -> anyhow::Result<MolmoAct2Policy> {
        let bar = LoadingBar::default();
        let report = |read, total| bar.update(read, total);
        Ok(MolmoAct2Policy::load_with_progress(
            &self.source(),
            options,
            &chosen.device,
            &chosen.words(),
            Some(&report),
        )?)
    }
}

/// Progress bar in bytes while weights are loaded. Small files get none.
#[derive(Default)]
pub(super) struct LoadingBar {
    bar: OnceCell<ProgressBar>,
}

impl LoadingBar {
    /// Smallest size with a bar.
    const MIN_BYTES: u64 = 64 << 20;

    pub(super) fn update(&self, read: u64, total: u64) {
        if total < Self::MIN_BYTES {
            return;
        }
        let bar = self.bar.get_or_init(|| {
            let style = "loading {wide_bar} {binary_bytes}/{binary_total_bytes}, {binary_bytes_per_sec}, {eta} to go";
            let bar = ProgressBar::new(total);
            match ProgressStyle::with_template(style) {
                Ok(style) => bar.with_style(style),
                Err(_) => bar,
            }
        });
        bar.set_position(read);
        if read >= total {
            bar.finish_and_clear();
        }
    }
}

pub(super) fn choose(wanted: Wanted) -> anyhow::Result<Chosen> {
    let exe = std::env::current_exe().context("cannot find the file of this program")?;
    Ok(device::choose(wanted, &exe, TIME_LIMIT)?)
}
