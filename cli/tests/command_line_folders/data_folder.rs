//! The data folder of `serve`, which one studio uses at a time.

use super::{Folder, refused, studio};
use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

/// A running studio, killed on drop.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn arguments(data: &Path) -> [&str; 8] {
    [
        "serve",
        "--no-sim",
        "--listen",
        "127.0.0.1:0",
        "--device",
        "cpu",
        "--data",
        data.to_str().unwrap(),
    ]
}

fn start(data: &Path) -> Running {
    let mut child = Command::new(env!("CARGO_BIN_EXE_policy-studio"))
        .args(arguments(data))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert!(line.starts_with("Policy Studio is at http://"), "{line}");
    Running(child)
}

#[test]
fn a_second_studio_on_a_data_folder_is_refused_with_the_owner_and_the_remedy() {
    let folder = Folder::new("data");
    let first = start(&folder.0);
    let said = refused(&studio(&arguments(&folder.0)));
    assert!(said.contains(folder.0.to_str().unwrap()), "{said}");
    assert!(said.contains("--data DIR"), "{said}");
    if cfg!(unix) {
        assert!(
            said.contains(&format!("process {}", first.0.id())),
            "{said}"
        );
    }
    // Another folder is not locked.
    let other = Folder::new("data");
    drop(start(&other.0));
    // A killed studio releases the lock, and the files stay.
    std::fs::write(folder.path("stops/arm"), b"{}").unwrap();
    drop(first);
    drop(start(&folder.0));
    assert!(folder.path("stops/arm").is_file());
}

/// Without the option the platform's folder is used, the same for all studios of the account.
#[cfg(target_os = "linux")]
#[test]
fn the_folder_of_the_account_is_refused_to_a_second_studio_too() {
    let account = Folder::new("account");
    let start = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_policy-studio"));
        command
            .args(&arguments(Path::new("unused"))[..6])
            .env("XDG_DATA_HOME", &account.0);
        command
    };
    let mut first = Running(
        start()
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );
    let mut line = String::new();
    BufReader::new(first.0.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let said = refused(&start().output().unwrap());
    let folder = account.path("policy-studio");
    assert!(said.contains(folder.to_str().unwrap()), "{said}");
    assert!(said.contains("in use by another studio"), "{said}");
}
