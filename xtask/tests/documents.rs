//! Links and paths in the project's documents exist.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Generated folders.
const GENERATED: [&str; 6] = ["target", "dist", "node_modules", ".git", ".venv", "output"];
/// Documents whose paths between backticks must exist in the repository.
const MAPS: [&str; 3] = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn documents(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() && !GENERATED.contains(&name) {
            documents(&path, found);
        } else if name.ends_with(".md") {
            found.push(path);
        }
    }
}

/// Targets of links and images that are not URLs.
fn links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](")
        .skip(1)
        .filter_map(|after| after.split_once(')'))
        .map(|(target, _)| target.split_once('#').map_or(target, |(file, _)| file))
        .filter(|target| !target.is_empty() && !target.contains("://"))
}

/// Paths between backticks: spans with a slash that begin like a name and are not patterns.
fn paths(text: &str) -> impl Iterator<Item = &str> {
    let outside_of_blocks = text.split("```").step_by(2);
    outside_of_blocks
        .flat_map(|part| part.split('`').skip(1).step_by(2))
        .filter(|span| {
            let first = span.split('/').next().unwrap_or_default();
            span.contains('/')
                && !GENERATED.contains(&first)
                && span.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '.')
                && !span.contains(|c: char| c.is_whitespace() || "*{}<>:()|$~".contains(c))
        })
}

#[test]
fn links_lead_to_files() {
    let mut all = Vec::new();
    documents(&root(), &mut all);
    assert!(all.len() > 10, "{all:?}");
    let mut broken = Vec::new();
    for document in all {
        let text = fs::read_to_string(&document).unwrap();
        let folder = document.parent().unwrap();
        for target in links(&text).filter(|target| !folder.join(target).exists()) {
            broken.push(format!("{}: {target}", document.display()));
        }
    }
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

#[test]
fn paths_in_the_maps_are_there() {
    let mut broken = Vec::new();
    for map in MAPS {
        let text = fs::read_to_string(root().join(map)).unwrap();
        for path in paths(&text).filter(|path| !root().join(path).exists()) {
            broken.push(format!("{map}: {path}"));
        }
    }
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

#[test]
fn links_and_paths_are_found() {
    let text =
        "[a](b.md#c) ![d](e.png) [f](https://g) `h/i.rs` `j` `/k` `l/*.rs`\n```\n`m/n`\n```\n`o/`";
    assert_eq!(links(text).collect::<Vec<_>>(), ["b.md", "e.png"]);
    assert_eq!(paths(text).collect::<Vec<_>>(), ["h/i.rs", "o/"]);
}
