//! The page and the shipped policy are embedded, so a change in either folder is a change of this crate.
//!
//! A clone that never built the page has no `dist/`: an empty folder is made, because a missing path would
//! make cargo run this script, and compile the server again, on every build.

use std::{fs, path::Path};

fn main() {
    for folder in ["../dist", "../models/nano/qwen3vl"] {
        if !Path::new(folder).exists()
            && let Err(error) = fs::create_dir_all(folder)
        {
            println!("cargo:warning=cannot make the folder {folder}: {error}");
        }
        println!("cargo:rerun-if-changed={folder}");
    }
    println!("cargo:rerun-if-changed=build.rs");
}
