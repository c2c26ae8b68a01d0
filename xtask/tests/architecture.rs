//! Crates use only those crates that the table of ARCHITECTURE.md lets them use, and the table lists every crate.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use serde_json::Value;
use std::{collections::BTreeSet, fs, path::Path, process::Command};

const HEADING: &str = "## Which crate may use which";
/// Crate that unifies features and has no code; any crate may depend on it.
const FEATURES_ALONE: &str = "workspace-hack";

/// A row of the table.
#[derive(Debug, Clone)]
struct Rule {
    name: String,
    folder: String,
    may_use: BTreeSet<String>,
    tests_may_use: BTreeSet<String>,
}

/// A crate of the workspace, as cargo sees it.
#[derive(Debug, Clone)]
struct Package {
    name: String,
    folder: String,
    uses: BTreeSet<String>,
    tests_use: BTreeSet<String>,
}

/// The rows of the table below [`HEADING`].
fn rules(document: &str) -> Vec<Rule> {
    let (_, section) = document
        .split_once(HEADING)
        .expect("ARCHITECTURE.md has no section of that heading");
    let rows = section
        .lines()
        .skip_while(|line| !line.starts_with("|-"))
        .skip(1)
        .take_while(|line| line.starts_with('|'));
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [name, folder, may_use, tests_may_use] = cells[..] else {
            unreachable!("a row has four cells: {row}");
        };
        Rule {
            name: names(name).into_iter().next().unwrap(),
            folder: names(folder).into_iter().next().unwrap(),
            may_use: names(may_use),
            tests_may_use: names(tests_may_use),
        }
    })
    .collect()
}

/// Names between backticks.
fn names(cell: &str) -> BTreeSet<String> {
    cell.split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

/// The workspace's crates, from `cargo metadata --no-deps`.
fn packages(metadata: &Value) -> Vec<Package> {
    let root = Path::new(metadata["workspace_root"].as_str().unwrap());
    let all = metadata["packages"].as_array().unwrap();
    let workspace: BTreeSet<&str> = all
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    all.iter()
        .map(|package| {
            let manifest = Path::new(package["manifest_path"].as_str().unwrap());
            let folder = manifest.parent().unwrap().strip_prefix(root).unwrap();
            let of_kind = |tests: bool| {
                let dependencies = package["dependencies"].as_array().unwrap().iter();
                dependencies
                    .filter(|one| (one["kind"].as_str() == Some("dev")) == tests)
                    .map(|one| one["name"].as_str().unwrap())
                    .filter(|name| workspace.contains(name) && *name != FEATURES_ALONE)
                    .map(str::to_owned)
                    .collect()
            };
            Package {
                name: package["name"].as_str().unwrap().to_owned(),
                folder: folder.to_str().unwrap().replace('\\', "/"),
                uses: of_kind(false),
                tests_use: of_kind(true),
            }
        })
        .collect()
}

/// Differences between the table and the workspace.
fn findings(rules: &[Rule], packages: &[Package]) -> Vec<String> {
    let mut found = Vec::new();
    let mut above = BTreeSet::new();
    for rule in rules {
        let name = &rule.name;
        for other in rule.may_use.union(&rule.tests_may_use) {
            if !above.contains(other) {
                found.push(format!(
                    "the table lets `{name}` use `{other}`, which is not in a row above it: arrows point up the table"
                ));
            }
        }
        if !above.insert(name.clone()) {
            found.push(format!("the table lists `{name}` twice"));
        }
        match packages.iter().find(|one| one.name == *name) {
            None => found.push(format!(
                "the table lists `{name}`, but the workspace has no crate of that name: remove the row"
            )),
            Some(package) if package.folder != rule.folder => found.push(format!(
                "`{name}` is in {}, but the table says {}",
                package.folder, rule.folder
            )),
            Some(_) => {}
        }
    }
    for package in packages {
        let Some(rule) = rules.iter().find(|one| one.name == package.name) else {
            found.push(format!(
                "the table lacks the crate `{}` ({}): add a row that says what it may use",
                package.name, package.folder
            ));
            continue;
        };
        let in_tests: BTreeSet<String> = rule.may_use.union(&rule.tests_may_use).cloned().collect();
        for (uses, allowed, context) in [
            (&package.uses, &rule.may_use, ""),
            (&package.tests_use, &in_tests, " in its tests"),
        ] {
            for other in uses.difference(allowed) {
                found.push(format!(
                    "`{}` depends on `{other}`{context}, which the table of ARCHITECTURE.md does not let it use: \
                     remove the dependency from {}/Cargo.toml, or change the architecture",
                    package.name, package.folder
                ));
            }
        }
    }
    found
}

fn metadata() -> Value {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--no-deps",
            "--offline",
        ])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn table() -> Vec<Rule> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ARCHITECTURE.md");
    rules(&fs::read_to_string(path).unwrap())
}

#[test]
fn crates_use_only_what_the_architecture_lets_them_use() {
    let found = findings(&table(), &packages(&metadata()));
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

/// An example that is only compiled can be wrong; `cargo test` runs those that are also tests.
#[test]
fn quickstarts_are_run_by_the_tests() {
    for package in metadata()["packages"].as_array().unwrap() {
        for target in package["targets"].as_array().unwrap() {
            assert!(
                target["name"] != "quickstart" || target["test"] == true,
                "examples/quickstart.rs of {} is not run: declare it in Cargo.toml as an [[example]] with \
                 `test = true` and `harness = false`",
                package["name"]
            );
        }
    }
}

#[test]
fn a_wrong_arrow_is_named() {
    let mut packages = packages(&metadata());
    let protocol = packages.iter_mut().find(|one| one.name == "protocol");
    protocol.unwrap().uses.insert("layers".to_owned());
    let found = findings(&table(), &packages);
    let named = |one: &String| {
        one.starts_with("`protocol` depends on `layers`, which")
            && one.contains("protocol/Cargo.toml")
    };
    assert!(found.iter().any(named), "{found:?}");
}

#[test]
fn a_row_without_a_crate_and_a_crate_without_a_row_are_named() {
    let (mut rules, mut packages) = (table(), packages(&metadata()));
    packages[0].name = "newcomer".to_owned();
    rules.last_mut().unwrap().name = "ghost".to_owned();
    let found = findings(&rules, &packages).join("\n");
    assert!(found.contains("lacks the crate `newcomer`"), "{found}");
    assert!(found.contains("lists `ghost`"), "{found}");
}

#[test]
fn arrows_point_up_the_table() {
    let mut rules = table();
    let last = rules.last().unwrap().name.clone();
    rules[0].may_use.insert(last.clone());
    let found = findings(&rules, &packages(&metadata()));
    let named = format!("`{last}`, which is not in a row above it");
    assert!(found.iter().any(|one| one.contains(&named)), "{found:?}");
}
