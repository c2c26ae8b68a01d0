//! Every option that a message names exists in the command that prints it.

use super::{root, studio};
use std::{collections::BTreeSet, path::Path};

/// The commands of each file or folder of `cli/src`.
const COMMANDS: [(&str, &[&[&str]]); 12] = [
    ("serve", &[&["serve"]]),
    ("sim", &[&["sim"]]),
    ("act", &[&["act"]]),
    ("ask", &[&["ask"]]),
    ("eval", &[&["eval"]]),
    ("bench", &[&["bench"]]),
    ("doctor", &[&["doctor"]]),
    ("inspect", &[&["inspect"]]),
    ("score", &[&["score"]]),
    ("synthesise", &[&["synthesise"]]),
    ("probe_adapter", &[&["probe-adapter"]]),
    (
        "fast",
        &[
            &["fast", "inspect"],
            &["fast", "encode"],
            &["fast", "decode"],
            &["fast", "train"],
        ],
    ),
];

/// Options in a text, without their values.
pub(crate) fn named(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in text.match_indices("--") {
        let before = text[..at].chars().next_back();
        if before.is_some_and(|before| before == '-' || before.is_alphanumeric()) {
            continue;
        }
        let name: String = text[at + 2..]
            .chars()
            .take_while(|letter| {
                letter.is_ascii_lowercase() || *letter == '-' || letter.is_ascii_digit()
            })
            .collect();
        if name.starts_with(|letter: char| letter.is_ascii_lowercase()) {
            found.insert(format!("--{}", name.trim_end_matches('-')));
        }
    }
    found
}

/// The options of a command.
pub(crate) fn of(command: &[&str]) -> BTreeSet<String> {
    let mut arguments = command.to_vec();
    arguments.push("--help");
    let output = studio(&arguments);
    assert!(output.status.success(), "{command:?}");
    // Options in the examples do not count.
    let help = String::from_utf8(output.stdout).unwrap();
    named(help.split("Examples:").next().unwrap())
}

/// Texts of a source file: its code without comments, tests and style sheets.
fn message_text(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    let code = text.split("#[cfg(test)]").next().unwrap();
    let lines = code.lines().map(str::trim_start);
    let lines = lines.filter(|line| {
        !line.starts_with("//") && !line.contains("var(--") && !line.contains(": #")
    });
    // `cargo xtask` and ffmpeg are other programs.
    let lines = lines.filter(|line| !line.contains("cargo ") && !line.contains("npm "));
    lines.collect::<Vec<_>>().join("\n")
}

fn sources(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn an_option_that_a_message_names_exists() {
    let options: Vec<(&str, BTreeSet<String>)> = COMMANDS
        .iter()
        .map(|(name, commands)| {
            (
                *name,
                commands.iter().flat_map(|command| of(command)).collect(),
            )
        })
        .collect();
    let of_any: BTreeSet<String> = options.iter().flat_map(|(_, own)| own.clone()).collect();
    assert!(of_any.contains("--scorer") && of_any.contains("--tokenizer"));

    let cli = root().join("cli/src");
    let mut files = Vec::new();
    for package in ["cli", "server", "datasets", "policies", "evaluation"] {
        sources(&root().join(package).join("src"), &mut files);
    }
    for file in files {
        // Options of the programs that they start.
        let foreign = [
            "probe.rs",
            "video.rs",
            "child.rs",
            "picture.rs",
            "ffmpeg.rs",
        ];
        if foreign.contains(&file.file_name().unwrap().to_str().unwrap()) {
            continue;
        }
        let own = file.strip_prefix(&cli).ok().and_then(|inside| {
            let first = inside.components().next()?.as_os_str().to_str()?;
            let command = first.trim_end_matches(".rs");
            options.iter().find(|(name, _)| *name == command)
        });
        let known = own.map_or(&of_any, |(_, own)| own);
        for option in named(&message_text(&file)) {
            // An example may show another command.
            assert!(
                known.contains(&option) || (own.is_none() && of_any.contains(&option)),
                "{} names {option}, which its command does not have",
                file.display()
            );
        }
    }
    // Networks and formats are read by several commands, which spell their options differently.
    let mut files = Vec::new();
    for package in [
        "layers",
        "field_files",
        "molmoact2",
        "qwen3vl",
        "openfast",
        "topreward",
        "depth_decoder",
        "vision",
    ] {
        sources(&root().join("models").join(package).join("src"), &mut files);
    }
    sources(&root().join("score_job/src"), &mut files);
    for file in files {
        let named = named(&message_text(&file));
        assert!(named.is_empty(), "{} names {named:?}", file.display());
    }
}
