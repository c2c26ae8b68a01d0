//! Rebuilds this crate when the embedded nano policy changes.

fn main() {
    println!("cargo:rerun-if-changed=../models/nano/molmoact2");
    println!("cargo:rerun-if-changed=build.rs");
}
