//! A thread that templates are read and rendered on, with limits on time and memory.

use std::sync::atomic::AtomicBool;

use super::TemplateError;

/// Stack size of the thread. The engine limits the depth of calls, but not that of a chain of a hundred thousand
/// operators or of nested lists, and recurses along both. This size suffices for the depth that file size and fuel
/// allow. Only used pages become memory.
#[cfg(not(target_arch = "wasm32"))]
const STACK: usize = 512 << 20;

/// Time limit of all renderings; published templates take some milliseconds.
#[cfg(not(target_arch = "wasm32"))]
pub(super) const LIMIT: std::time::Duration = std::time::Duration::from_secs(3);

/// Memory limit of a rendering.
#[cfg(not(target_arch = "wasm32"))]
const MEMORY: u64 = 128 << 20;

/// Runs on a separate thread with a [`STACK`] of fixed size, and abandons it when it exceeds a limit. A thread cannot be
/// ended from outside: `run` is told when nobody waits for it any more, and whoever gets [`TemplateError::Unbounded`] must
/// not go on for long.
#[cfg(not(target_arch = "wasm32"))]
pub(super) fn with_room<T: Send + 'static>(
    run: impl FnOnce(&AtomicBool) -> Result<T, TemplateError> + Send + 'static,
) -> Result<T, TemplateError> {
    use std::sync::Arc;
    use std::sync::atomic::Ordering;
    use std::sync::mpsc::{RecvTimeoutError, sync_channel};
    use std::time::{Duration, Instant};

    let failed = |reason: &str| TemplateError::Failed {
        reason: reason.to_owned(),
    };
    let abandoned = Arc::new(AtomicBool::new(false));
    let given_up = |reason: &str| {
        abandoned.store(true, Ordering::Relaxed);
        TemplateError::Unbounded {
            reason: reason.to_owned(),
        }
    };
    let is_abandoned = abandoned.clone();
    let (tell, told) = sync_channel(1);
    std::thread::Builder::new()
        .name("template".to_owned())
        .stack_size(STACK)
        .spawn(move || tell.send(run(&is_abandoned)).ok())
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
        if let (Some(before), Some(now)) = (before, resident_bytes())
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
    run: impl FnOnce(&AtomicBool) -> Result<T, TemplateError>,
) -> Result<T, TemplateError> {
    run(&AtomicBool::new(false))
}
