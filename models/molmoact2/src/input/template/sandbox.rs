//! A thread that templates are read and rendered on, with limits on time and memory.

use super::TemplateError;

/// Stack size of the thread. The engine limits the depth of calls, but not that of a chain of a hundred thousand
/// operators or of nested lists, and recurses along both. This size suffices for the depth that file size and fuel
/// allow. Only used pages become memory.
#[cfg(not(target_arch = "wasm32"))]
const STACK: usize = 512 << 20;

/// Time limit of a rendering; published templates take a millisecond.
#[cfg(not(target_arch = "wasm32"))]
pub(super) const LIMIT: std::time::Duration = std::time::Duration::from_secs(3);

/// Memory limit of a trial rendering.
#[cfg(not(target_arch = "wasm32"))]
const MEMORY: u64 = 128 << 20;

/// Limits of a rendering.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Watch {
    /// Time alone, since other work of the process takes memory too.
    Time,
    /// Time, and growth of the process's memory.
    TimeAndMemory,
}

/// Runs on a separate thread with a [`STACK`] of fixed size, and abandons it when it exceeds a limit.
#[cfg(not(target_arch = "wasm32"))]
pub(super) fn with_room<T: Send + 'static>(
    watch: Watch,
    run: impl FnOnce() -> Result<T, TemplateError> + Send + 'static,
) -> Result<T, TemplateError> {
    use std::sync::mpsc::{RecvTimeoutError, sync_channel};
    use std::time::{Duration, Instant};

    let failed = |reason: &str| TemplateError::Failed {
        reason: reason.to_owned(),
    };
    let given_up = |reason: &str| TemplateError::Unbounded {
        reason: reason.to_owned(),
    };
    let (tell, told) = sync_channel(1);
    std::thread::Builder::new()
        .name("template".to_owned())
        .stack_size(STACK)
        .spawn(move || tell.send(run()).ok())
        .map_err(|error| failed(&format!("no thread for it: {error}")))?;
    let (began, before) = (Instant::now(), resident_bytes());
    loop {
        match told.recv_timeout(Duration::from_millis(5)) {
            Ok(answer) => return answer,
            Err(RecvTimeoutError::Disconnected) => return Err(failed("the engine crashed")),
            Err(RecvTimeoutError::Timeout) => {}
        }
        if began.elapsed() > LIMIT {
            return Err(given_up("it was given up after some seconds"));
        }
        if watch == Watch::TimeAndMemory
            && let (Some(before), Some(now)) = (before, resident_bytes())
            && now > before + MEMORY
        {
            return Err(given_up("it took too much memory"));
        }
    }
}

/// Resident memory of the process, where the system reports it.
#[cfg(not(target_arch = "wasm32"))]
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().ok()?;
    Some(kib << 10)
}

/// Runs in place: a page has a single stack, and only itself to lose.
#[cfg(target_arch = "wasm32")]
pub(super) fn with_room<T>(
    _: Watch,
    run: impl FnOnce() -> Result<T, TemplateError>,
) -> Result<T, TemplateError> {
    run()
}
