//! The shipped policy is embedded, so a change in its folder is a change of this crate.

fn main() {
    println!("cargo:rerun-if-changed=../models/nano/molmoact2");
    println!("cargo:rerun-if-changed=build.rs");
}
