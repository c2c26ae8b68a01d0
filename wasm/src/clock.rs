//! Time for measurements. `std::time::Instant` panics in a browser, and `performance` exists only there.

/// Milliseconds since an arbitrary fixed moment, with fractions.
#[cfg(target_family = "wasm")]
pub fn now_millis() -> f64 {
    crate::worker_scope::performance_now()
}

/// Milliseconds since an arbitrary fixed moment, with fractions.
#[cfg(not(target_family = "wasm"))]
pub fn now_millis() -> f64 {
    use std::sync::OnceLock;
    use std::time::Instant;
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_secs_f64() * 1e3
}
