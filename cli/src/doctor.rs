//! `doctor`: what this machine can do, and what is wrong with it.

mod videos;

use super::{
    policy::{PolicyArguments, choose},
    scorer::ScorerArguments,
};
use clap::Args;
use layers::{Check, SelfTestReport};
use policies::{
    Policy,
    device::{Refused, Wanted},
};
use protocol::Mode;
use serde::Serialize;
use server::http::{PageInfo, page_info};
use std::{fmt, net::TcpListener, process::ExitCode};
use videos::VideoFinding;

/// Look at the device, the numbers it computes, the policy, the scorer, the port, the page, and the programs that videos are
/// read with. Exit status 1 when a studio could not do its work here; it can without videos.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  policy-studio doctor
  policy-studio doctor --json
  policy-studio doctor --policy ~/checkpoints/MolmoAct2 --listen 0.0.0.0:9000
  policy-studio doctor --scorer ~/checkpoints/Qwen3-VL-2B-Instruct")]
pub(super) struct Doctor {
    #[command(flatten)]
    policy: PolicyArguments,
    #[command(flatten)]
    scorer: ScorerArguments,
    /// The address that `serve` would listen on.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8080")]
    listen: String,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Findings {
    healthy: bool,
    version: &'static str,
    device: DeviceFinding,
    self_test: Vec<Check>,
    port: PortFinding,
    policy: PolicyFinding,
    scorer: ScorerFinding,
    page: PageInfo,
    videos: VideoFinding,
}

#[derive(Debug, Serialize)]
struct DeviceFinding {
    chosen: &'static str,
    name: String,
    refused: Vec<Refused>,
}

#[derive(Debug, Serialize)]
struct PortFinding {
    listen: String,
    free: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Debug, Default, Serialize)]
struct PolicyFinding {
    loaded: bool,
    name: String,
    parameters: u64,
    modes: Vec<Mode>,
    tags: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Debug, Default, Serialize)]
struct ScorerFinding {
    /// True if its files are there and are what they should be.
    found: bool,
    name: String,
    parameters: u64,
    bytes: u64,
    /// Where `serve` with the same options would score; nowhere when it only serves the files.
    device: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Doctor {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let findings = self.look()?;
        super::print(&findings, self.json)?;
        Ok(if findings.healthy {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }

    fn look(&self) -> anyhow::Result<Findings> {
        // A GPU asked for by name that must not be used is a finding, not a failure of the doctor.
        let (chosen, not_usable) = match choose(self.policy.wanted()) {
            Ok(chosen) => (chosen, None),
            Err(error) => (choose(Wanted::Cpu)?, Some(format!("{error:#}"))),
        };
        let report = if chosen.self_test.is_empty() {
            layers::block_on(layers::self_test(&chosen.device))
        } else {
            SelfTestReport {
                checks: chosen.self_test.clone(),
            }
        };
        let policy = match self.policy.load(&chosen) {
            Ok(hosted) => {
                let info = hosted.info();
                PolicyFinding {
                    loaded: true,
                    name: info.name.clone(),
                    parameters: info.parameters,
                    modes: info.modes.clone(),
                    tags: info.tags.iter().map(|tag| tag.tag.clone()).collect(),
                    error: None,
                }
            }
            Err(error) => PolicyFinding {
                error: Some(format!("{error:#}")),
                ..PolicyFinding::default()
            },
        };
        let scorer = match self.scorer.host(&chosen, &|_| ()) {
            Ok(Ok(scorer)) => {
                let manifest = scorer.manifest();
                ScorerFinding {
                    found: true,
                    name: manifest.name.clone(),
                    parameters: manifest.parameters,
                    bytes: manifest.bytes(),
                    device: manifest.studio_device.clone(),
                    error: None,
                }
            }
            Ok(Err(reason)) => ScorerFinding {
                error: Some(reason),
                ..ScorerFinding::default()
            },
            Err(error) => ScorerFinding {
                error: Some(format!("{error:#}")),
                ..ScorerFinding::default()
            },
        };
        let port = match TcpListener::bind(&self.listen) {
            Ok(_) => PortFinding {
                listen: self.listen.clone(),
                free: true,
                error: None,
            },
            Err(error) => PortFinding {
                listen: self.listen.clone(),
                free: false,
                error: Some(error.to_string()),
            },
        };
        let mut refused = chosen.refused.clone();
        refused.extend(not_usable.iter().map(|reason| Refused {
            name: "the device that was asked for".to_owned(),
            reason: reason.clone(),
        }));
        Ok(Findings {
            // A studio without the nano scorer does everything else.
            healthy: report.passed()
                && policy.loaded
                && not_usable.is_none()
                && (scorer.found || self.scorer.is_nano()),
            version: server::VERSION,
            device: DeviceFinding {
                chosen: chosen.kind,
                name: chosen.name,
                refused,
            },
            self_test: report.checks,
            port,
            policy,
            scorer,
            page: page_info(),
            videos: VideoFinding::look(),
        })
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Findings {
            healthy,
            version,
            device,
            self_test,
            port,
            policy,
            scorer,
            page,
            videos,
        } = self;
        writeln!(f, "policy-studio {version}")?;
        writeln!(f, "device     {} ({})", device.chosen, device.name)?;
        for Refused { name, reason } in &device.refused {
            writeln!(f, "  not used {name}: {reason}")?;
        }
        let failed: Vec<&Check> = self_test.iter().filter(|check| !check.passed).collect();
        writeln!(
            f,
            "self-test  {} of {} operations compute right",
            self_test.len() - failed.len(),
            self_test.len()
        )?;
        for check in failed {
            writeln!(
                f,
                "  wrong    {}: off by {:.3e}, allowed {:.0e}",
                check.name, check.max_error, check.tolerance
            )?;
        }
        match &policy.error {
            None => writeln!(
                f,
                "policy     {}, {:.1} million parameters, for {}",
                policy.name,
                policy.parameters as f64 / 1e6,
                policy.tags.join(", ")
            )?,
            Some(error) => writeln!(f, "policy     not loaded: {error}")?,
        }
        match &scorer.error {
            None => writeln!(
                f,
                "scorer     {}, {:.1} million parameters, {:.1} MB, {}",
                scorer.name,
                scorer.parameters as f64 / 1e6,
                scorer.bytes as f64 / 1e6,
                match &scorer.device {
                    Some(device) => format!("in pages and on {device}"),
                    None => "in pages".to_owned(),
                }
            )?,
            Some(error) => writeln!(f, "scorer     none: {error}")?,
        }
        match &port.error {
            None => writeln!(f, "port       {} is free", port.listen)?,
            Some(error) => writeln!(
                f,
                "port       {} cannot be used: {error}; choose another with --listen",
                port.listen
            )?,
        }
        if page.built {
            writeln!(
                f,
                "page       {} files, {:.1} MB, {:.1} MB as sent with brotli",
                page.files,
                page.bytes as f64 / 1e6,
                page.brotli_bytes as f64 / 1e6
            )?;
        } else {
            writeln!(
                f,
                "page       not built into this binary; run `cargo xtask build` in the repository"
            )?;
        }
        videos.fmt(f)?;
        writeln!(
            f,
            "{}",
            if *healthy {
                "all well"
            } else {
                "something is wrong, see above"
            }
        )?;
        Ok(())
    }
}
