//! Damaged folders: every file truncated at several places, emptied, missing, exchanged with another, and headers
//! with a flipped bit. Each is refused with the file named, and none panics.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use common::Golden;
use molmoact2::{Files, LoadError, Policy};

/// A copy of a folder that can be damaged, removed at the end.
struct Folder {
    path: PathBuf,
    whole: BTreeMap<String, Vec<u8>>,
}

impl Folder {
    fn copy(test: &str, from: &Path) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path =
            std::env::temp_dir().join(format!("molmoact2-{test}-{}-{number}", std::process::id()));
        let mut whole = BTreeMap::new();
        collect(from, "", &mut whole);
        let folder = Self { path, whole };
        for (name, bytes) in &folder.whole {
            folder.write(name, bytes);
        }
        folder
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    fn load(&self, base: Option<&Path>) -> Result<(), LoadError> {
        let mut files = Files::open_dir(&self.path)?;
        if let Some(base) = base {
            files = files.with_base(Files::open_dir(base)?);
        }
        Policy::load(&files, &layers::device::cpu()).map(|_| ())
    }

    /// Loads with `bytes` in the file `name`, then restores the file.
    fn with(&self, name: &str, bytes: &[u8], base: Option<&Path>) -> Result<(), LoadError> {
        self.write(name, bytes);
        let outcome = self.load(base);
        self.write(name, &self.whole[name]);
        outcome
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.path).ok();
    }
}

fn collect(folder: &Path, prefix: &str, into: &mut BTreeMap<String, Vec<u8>>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = format!("{prefix}{}", path.file_name().unwrap().to_str().unwrap());
        if path.is_dir() {
            collect(&path, &format!("{name}/"), into);
        } else {
            into.insert(name, std::fs::read(&path).unwrap());
        }
    }
}

/// Folders of every kind: one file of weights, shards with an index, LeRobot's.
fn folders() -> Vec<(Folder, Option<PathBuf>)> {
    let golden = |case: &str| Golden::open(case).checkpoint();
    let lerobot = golden("lerobot_calibrated").with_file_name("policy");
    vec![
        (Folder::copy("single", &golden("one_camera")), None),
        (Folder::copy("sharded", &golden("two_cameras")), None),
        (
            Folder::copy("lerobot", &lerobot),
            Some(golden("one_camera")),
        ),
    ]
}

/// Optional files: the first two have defaults in the configuration, and without the others a policy does not
/// answer in tokens.
const OPTIONAL: [&str; 4] = [
    "generation_config.json",
    "tokenizer_config.json",
    "openfast/tokenizer.json",
    "openfast/processor_config.json",
];

/// The file that only answers need, of which these tests request none: whatever its content, the policy acts.
const OF_ANSWERS: &str = "generation_config.json";

/// The last part of a name, which every error must mention.
fn short(name: &str) -> &str {
    name.rsplit('/').next().unwrap()
}

/// Names that an error about `name` may use: the file, its folder for the action tokenizer, or the index that lists
/// it.
fn names_it(error: &str, name: &str) -> bool {
    error.contains(short(name))
        || (name.starts_with("openfast/") && error.contains("openfast"))
        || (name.ends_with(".index.json") && error.contains("safetensors"))
}

#[test]
fn a_file_cut_short_or_empty_is_refused_by_name() {
    for (folder, base) in folders() {
        folder.load(base.as_deref()).unwrap();
        for (name, whole) in &folder.whole {
            let len = whole.len();
            for keep in [
                0,
                1,
                7,
                8,
                9,
                len / 100,
                len / 3,
                len / 2,
                len * 9 / 10,
                len - 2,
                len - 1,
            ] {
                // A JSON file may end with a line break.
                if keep >= whole.trim_ascii_end().len() {
                    continue;
                }
                let outcome = folder.with(name, &whole[..keep], base.as_deref());
                if name == OF_ANSWERS {
                    outcome.unwrap();
                    continue;
                }
                let error = outcome
                    .expect_err(&format!("{name}, {keep} of {len} bytes"))
                    .to_string();
                assert!(names_it(&error, name), "{name}, {keep} bytes: {error}");
            }
        }
    }
}

#[test]
fn a_missing_file_is_refused_by_name_unless_it_may_be_absent() {
    for (folder, base) in folders() {
        for name in folder.whole.keys() {
            std::fs::remove_file(folder.path.join(name)).unwrap();
            let outcome = folder.load(base.as_deref());
            folder.write(name, &folder.whole[name]);
            // Numbered shards need no index.
            if OPTIONAL.contains(&name.as_str()) || name == "model.safetensors.index.json" {
                outcome.unwrap();
            } else {
                let error = outcome.expect_err(name).to_string();
                assert!(names_it(&error, name), "{name}: {error}");
            }
        }
    }
}

#[test]
fn a_file_in_the_place_of_another_is_refused() {
    for (folder, base) in folders() {
        for name in folder.whole.keys() {
            for (other, bytes) in &folder.whole {
                // Identical bytes are not damage.
                let twins = bytes == &folder.whole[name];
                // LeRobot writes the same statistics beside both pipelines.
                let statistics = name.contains("_step_") && other.contains("_step_");
                if name == other || twins || statistics {
                    continue;
                }
                if name == OF_ANSWERS {
                    folder.with(name, bytes, base.as_deref()).unwrap();
                    continue;
                }
                let error = folder
                    .with(name, bytes, base.as_deref())
                    .expect_err(&format!("{other} as {name}"))
                    .to_string();
                assert!(
                    names_it(&error, name)
                        || error.contains("safetensors")
                        || error.contains("openfast"),
                    "{other} as {name}: {error}"
                );
            }
        }
    }
}

/// Every bit of the headers of weights and statistics. A flipped bit may hit a name, a type, a shape, an offset or
/// the header's length; only in the free text of the metadata does it change nothing.
#[test]
fn a_bit_turned_over_in_a_header_is_refused_by_name_or_changes_nothing() {
    let (mut refused, mut harmless) = (0, 0);
    for (folder, base) in folders() {
        for (name, whole) in folder
            .whole
            .iter()
            .filter(|(name, _)| name.ends_with(".safetensors"))
        {
            let header = 8 + u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
            // A prime step over all bits touches every kind of place without trying tens of thousands.
            for bit in (0..header * 8).step_by(211) {
                let mut bytes = whole.clone();
                bytes[bit / 8] ^= 1 << (bit % 8);
                match folder.with(name, &bytes, base.as_deref()) {
                    Ok(()) => {
                        harmless += 1;
                        let text = String::from_utf8_lossy(&whole[8..header]);
                        let near = &text[(bit / 8).saturating_sub(8)
                            ..(bit / 8).saturating_sub(8).min(text.len() - 24) + 24];
                        println!("{name}: bit {bit} near {near:?} changes nothing");
                    }
                    Err(error) => {
                        refused += 1;
                        let error = error.to_string();
                        assert!(
                            names_it(&error, name) || error.contains("tensor"),
                            "{name}, bit {bit}: {error}"
                        );
                    }
                }
            }
        }
    }
    println!("{refused} refused, {harmless} without effect");
    assert!(
        refused > 500 && harmless * 20 < refused,
        "{refused} refused, {harmless} without effect"
    );
}

/// The highest bit of a weight's exponent, in every tensor: the result is not finite, or implausible for a weight,
/// or was tiny and has changed by less than matters.
#[test]
fn a_turned_exponent_bit_in_any_tensor_is_refused_by_its_name() {
    let (folder, _) = folders().swap_remove(0);
    let whole = &folder.whole["model.safetensors"];
    let header = 8 + u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
    let values = (whole.len() - header) / 4;
    let mut refused = 0;
    for value in (0..values).step_by(values / 40) {
        let last = header + value * 4 + 3;
        let mut bytes = whole.clone();
        bytes[last] ^= 1 << 6;
        let was = f32::from_le_bytes(whole[last - 3..=last].try_into().unwrap());
        // A rotation's frequency is computed, not read.
        match folder.with("model.safetensors", &bytes, None) {
            Ok(()) => println!("{was} passes"),
            Err(error) => {
                refused += 1;
                let error = error.to_string();
                assert!(
                    error.contains("tensor model.") || error.contains("tensor lm_head"),
                    "{error}"
                );
                assert!(error.contains("damaged"), "{error}");
            }
        }
    }
    assert!(refused > 35, "{refused}");
}

/// Inside tensors only NaN, infinity and absurd magnitudes can be detected.
#[test]
fn a_weight_that_is_no_number_is_refused_with_its_tensor() {
    let (folder, _) = folders().swap_remove(0);
    let whole = &folder.whole["model.safetensors"];
    let header = 8 + u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
    for (place, value) in [
        (0, f32::NAN),
        (40_000, f32::INFINITY),
        (whole.len() - header - 4, f32::NEG_INFINITY),
    ] {
        let mut bytes = whole.clone();
        let at = header + place / 4 * 4;
        bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        let error = folder
            .with("model.safetensors", &bytes, None)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("not a finite number") && error.contains("model.safetensors"),
            "{error}"
        );
    }
}

/// Flipped bits in JSON can turn a number into another one undetected, but nothing may panic.
#[test]
fn a_bit_turned_over_in_json_never_panics() {
    for (folder, base) in folders() {
        for (name, whole) in folder
            .whole
            .iter()
            .filter(|(name, _)| name.ends_with(".json"))
        {
            let step = (whole.len() * 8 / 40).max(1) | 1;
            for bit in (0..whole.len() * 8).step_by(step) {
                let mut bytes = whole.clone();
                bytes[bit / 8] ^= 1 << (bit % 8);
                if let Err(error) = folder.with(name, &bytes, base.as_deref()) {
                    assert!(!error.to_string().is_empty());
                }
            }
        }
    }
}
