//! Exports the module's constructors, so that `static/worker.js` calls them once.
//!
//! The kernel compiler beneath burn registers itself in many constructors. Without a caller, the WebAssembly linker
//! inserts all of them before *every* function that JavaScript can call, which is right for a program that is called
//! once. A worker is called for each message, promise and handle: encoding action tokens ran at less than half the speed.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_FAMILY").is_ok_and(|family| family == "wasm") {
        println!("cargo::rustc-link-arg-cdylib=--export=__wasm_call_ctors");
    }
}
