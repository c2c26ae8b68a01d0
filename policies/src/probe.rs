//! Self-test of a graphics adapter in a child process, because a driver can crash its process or hang.
//!
//! The child prints one JSON object per line: the adapter as soon as it is open, then the result of the self-test. If it
//! crashes, the lines before are the result.

use child::Ended;
use layers::{Check, SelfTestReport};
use serde::{Deserialize, Serialize};
use std::{
    path::Path,
    process::Command,
    sync::{Arc, OnceLock},
    time::Duration,
};

mod child;

/// Time limit of a probe; a driver that takes longer hangs.
pub const TIME_LIMIT: Duration = Duration::from_secs(60);

/// A family of devices that needs a driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Gpu {
    /// Vulkan, Metal or DirectX through wgpu.
    Wgpu,
    /// CUDA on NVIDIA GPUs; built in with the feature `cuda`.
    Cuda,
}

impl Gpu {
    /// Name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Wgpu => "wgpu",
            Self::Cuda => "cuda",
        }
    }
}

/// One line of the child's output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Event {
    NoAdapter {
        reason: String,
    },
    Adapter {
        name: String,
        interface: String,
        software: bool,
    },
    SelfTest {
        checks: Vec<Check>,
        /// Message of the first panic during the test, even if the results are right.
        broke: Option<String>,
    },
}

/// Result of a probe.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// There is no adapter.
    Absent {
        /// Message of the library.
        reason: String,
    },
    /// The adapter computes correctly.
    Good {
        /// Adapter and interface.
        name: String,
        /// Results of the self-test.
        checks: Vec<Check>,
    },
    /// The adapter must not be used.
    Refused {
        /// Adapter and interface, or the family if the name is unknown.
        name: String,
        /// Reason of the refusal.
        reason: String,
        /// Results of the self-test, if it ran.
        checks: Vec<Check>,
    },
}

/// Opens the adapter, tests it and prints the events; for the child process. Software adapters are tested only with
/// `even_software`.
pub fn run_child(gpu: Gpu, even_software: bool) {
    let opened = match open(gpu) {
        Ok(opened) => opened,
        Err(reason) => return print(&Event::NoAdapter { reason }),
    };
    let Opened {
        device,
        name,
        interface,
        software,
    } = opened;
    print(&Event::Adapter {
        name,
        interface,
        software,
    });
    if !software || even_software {
        let first_panic = remember_first_panic();
        let SelfTestReport { checks } = layers::block_on(layers::self_test(&device));
        let broke = first_panic.get().cloned();
        print(&Event::SelfTest { checks, broke });
    }
}

/// Remembers the first panic of any thread. The compute library runs a driver on its own threads and falls back to other
/// kernels when one fails there: the results may be right although the driver is unreliable.
fn remember_first_panic() -> Arc<OnceLock<String>> {
    let first = Arc::new(OnceLock::new());
    let remembered = first.clone();
    std::panic::set_hook(Box::new(move |info| {
        let message = info.payload_as_str().unwrap_or("no message");
        remembered.get_or_init(|| message.to_owned());
    }));
    first
}

fn print(event: &Event) {
    if let Ok(line) = serde_json::to_string(event) {
        println!("{line}");
    }
}

/// An adapter that is open in this process.
pub(super) struct Opened {
    pub(super) device: layers::Device,
    pub(super) name: String,
    pub(super) interface: String,
    pub(super) software: bool,
}

/// Opens the adapter in this process: in the child, or after the child found it good.
pub(super) fn open(gpu: Gpu) -> Result<Opened, String> {
    match gpu {
        Gpu::Wgpu => {
            let gpu = layers::device::default_gpu().map_err(|error| error.to_string())?;
            Ok(Opened {
                device: gpu.device,
                name: gpu.name,
                interface: gpu.interface,
                software: gpu.software,
            })
        }
        #[cfg(feature = "cuda")]
        Gpu::Cuda => Ok(Opened {
            device: layers::device::cuda(),
            name: "CUDA device 0".to_owned(),
            interface: "cuda".to_owned(),
            software: false,
        }),
        #[cfg(not(feature = "cuda"))]
        Gpu::Cuda => Err("this binary was built without the feature `cuda`".to_owned()),
    }
}

/// Probes an adapter in a child process of the program `exe`.
pub fn probe(exe: &Path, gpu: Gpu, even_software: bool, time_limit: Duration) -> Verdict {
    let mut command = Command::new(exe);
    command.args(["probe-adapter", gpu.name(), "--while-stdin-is-open"]);
    if even_software {
        command.arg("--even-software");
    }
    match events_of(&mut command, time_limit) {
        Ok((events, ended)) => verdict(gpu, events, &ended),
        Err(error) => Verdict::Refused {
            name: gpu.name().to_owned(),
            reason: format!("the process for its self-test cannot be started: {error}"),
            checks: Vec::new(),
        },
    }
}

/// Runs the child for at most `time_limit` and returns its events.
fn events_of(command: &mut Command, time_limit: Duration) -> std::io::Result<(Vec<Event>, Ended)> {
    let (lines, ended) = child::run(command, time_limit)?;
    let events = lines
        .iter()
        // Drivers print to standard output too; lines that are not events are skipped.
        .filter_map(|line| serde_json::from_str(line).ok());
    Ok((events.collect(), ended))
}

fn verdict(gpu: Gpu, events: Vec<Event>, ended: &Ended) -> Verdict {
    let mut name = format!("{} adapter", gpu.name());
    let mut software = false;
    let mut checks = None;
    let mut panic = None;
    for event in events {
        match event {
            Event::NoAdapter { reason } => return Verdict::Absent { reason },
            Event::Adapter {
                name: adapter,
                interface,
                software: is_software,
            } => {
                name = format!("{adapter} ({interface})");
                software = is_software;
            }
            Event::SelfTest {
                checks: done,
                broke,
            } => {
                checks = Some(done);
                panic = broke;
            }
        }
    }
    let tested = checks.map(|checks| SelfTestReport { checks });
    let wrong = tested.as_ref().and_then(SelfTestReport::refusal);
    let reason = match (wrong, ended) {
        // Wrong results have precedence over the kind of adapter and the end of the process.
        (Some(wrong), _) => Some(wrong),
        (None, _) if software => Some(
            "a software adapter: it computes on the CPU, slower than the CPU backend that is used instead"
                .to_owned(),
        ),
        (None, Ended::Normally) if panic.is_some() => Some(format!(
            "its driver failed during the self-test: {}",
            panic.unwrap_or_default()
        )),
        (None, Ended::TimedOut(limit)) => Some(format!(
            "its driver did not finish the self-test within {} s",
            limit.as_secs()
        )),
        (None, Ended::Crashed(status)) => {
            Some(format!("its driver crashed the process of the self-test ({status})"))
        }
        (None, Ended::Normally) if tested.is_none() => Some("the self-test did not run".to_owned()),
        (None, Ended::Normally) => None,
    };
    let checks = tested.unwrap_or_default().checks;
    match reason {
        None => Verdict::Good { name, checks },
        Some(reason) => Verdict::Refused {
            name,
            reason,
            checks,
        },
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::panic,
        reason = "a test fails by panicking"
    )]

    use super::*;

    fn adapter(software: bool) -> Event {
        Event::Adapter {
            name: "Fast 9000".to_owned(),
            interface: "vulkan".to_owned(),
            software,
        }
    }

    fn self_test(max_error: f64) -> Event {
        Event::SelfTest {
            checks: vec![Check {
                name: "matmul 512x512x512".to_owned(),
                max_error,
                tolerance: 1e-3,
                passed: max_error <= 1e-3,
            }],
            broke: None,
        }
    }

    fn reason(verdict: Verdict) -> String {
        match verdict {
            Verdict::Refused { reason, .. } => reason,
            other => panic!("expected a refusal, got {other:?}"),
        }
    }

    #[test]
    fn an_adapter_that_computes_correctly_is_good() {
        let verdict = verdict(
            Gpu::Wgpu,
            vec![adapter(false), self_test(0.0)],
            &Ended::Normally,
        );
        assert!(matches!(verdict, Verdict::Good { name, .. } if name == "Fast 9000 (vulkan)"));
    }

    #[test]
    fn wrong_numbers_are_refused_with_the_failing_check() {
        let verdict = verdict(
            Gpu::Wgpu,
            vec![adapter(false), self_test(15.7)],
            &Ended::Normally,
        );
        assert!(reason(verdict).contains("matmul 512x512x512"));
    }

    #[test]
    fn a_software_adapter_is_refused_before_it_is_tested() {
        let verdict = verdict(Gpu::Wgpu, vec![adapter(true)], &Ended::Normally);
        assert!(reason(verdict).contains("software adapter"));
    }

    #[test]
    fn a_driver_that_crashes_or_hangs_is_refused() {
        let crashed = Ended::Crashed("signal: 11 (SIGSEGV)".to_owned());
        assert!(reason(verdict(Gpu::Wgpu, Vec::new(), &crashed)).contains("SIGSEGV"));
        let hung = Ended::TimedOut(TIME_LIMIT);
        assert!(reason(verdict(Gpu::Wgpu, vec![adapter(false)], &hung)).contains("60 s"));
    }

    #[test]
    fn a_driver_that_fails_before_correct_results_is_refused() {
        let Event::SelfTest { checks, .. } = self_test(0.0) else {
            panic!("not a self-test");
        };
        let broke = Some("wgpu error: Out of Memory".to_owned());
        let events = vec![adapter(false), Event::SelfTest { checks, broke }];
        assert!(reason(verdict(Gpu::Wgpu, events, &Ended::Normally)).contains("Out of Memory"));
    }

    #[test]
    fn a_child_without_a_self_test_is_refused() {
        assert!(
            reason(verdict(Gpu::Wgpu, vec![adapter(false)], &Ended::Normally))
                .contains("did not run")
        );
    }

    #[test]
    fn noise_of_drivers_on_standard_output_is_skipped() {
        let script = r#"echo 'libEGL warning'; echo '{"event":"no_adapter","reason":"none"}'"#;
        let (events, _) = events_of(Command::new("sh").args(["-c", script]), TIME_LIMIT).unwrap();
        assert_eq!(events.len(), 1);
    }
}
