//! Says to the linker that constructors are ours to call.
//!
//! The kernel compiler beneath burn registers itself in many constructors. A linker for WebAssembly that sees
//! nobody call them puts all of them before *every* function that JavaScript can call, which is right for a program
//! that is called once. A worker is called for each message, promise and handle: encoding action
//! tokens was timed at less than half the speed for it. With the function exported, `static/worker.js` calls it, once.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_FAMILY").is_ok_and(|family| family == "wasm") {
        println!("cargo::rustc-link-arg-cdylib=--export=__wasm_call_ctors");
    }
}
