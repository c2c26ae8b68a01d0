//! Whole data sets: which frames are read, what is kept, and that a run goes on where it was.

use super::made::{self, CAMERA, FPS, Folder, LENGTHS, TASKS, grey};
use super::{checkpoint, numbers, text};
use datasets::lerobot::DataSet;
use evaluation::scores::{Keeper, footage};
use parquet::{
    file::reader::{FileReader as _, SerializedFileReader},
    record::RowAccessor as _,
};
use serde_json::{Value, json};
use std::{
    fs::{self, File},
    path::Path,
    process::{Command, Output},
};
use topreward::{Profile, scorer::FrameSource as _};

/// The grey of every frame of every episode, as it is read.
fn greys(folder: &Folder, episodes: usize) -> Vec<Vec<f64>> {
    let data_set = DataSet::open(&folder.0).unwrap();
    let camera = data_set.camera(None).unwrap();
    assert_eq!(camera, CAMERA);
    let listing = data_set.listing().unwrap();
    assert_eq!(listing.episodes.len(), 3);
    listing
        .episodes
        .iter()
        .take(episodes)
        .map(|entry| {
            let pictures = data_set.footage(entry, &camera).unwrap();
            let keeper = Keeper::new(Profile::Lerobot, FPS, None);
            let film = footage::read(&folder.0, &pictures, FPS, keeper, &mut |_| ()).unwrap();
            assert_eq!(film.count(), entry.frames);
            (0..film.count())
                .map(|index| {
                    let frame = film.frame(index).unwrap();
                    let sum: f64 = frame.data().iter().map(|byte| f64::from(*byte)).sum();
                    sum / frame.data().len() as f64
                })
                .collect()
        })
        .collect()
}

#[test]
fn an_episode_s_frames_are_its_own_in_every_layout() {
    for (name, folder, episodes, tolerance) in [
        ("v3 videos", made::v3_videos("frames-v3v"), 3, 3.0),
        ("v3 images", made::v3_images("frames-v3i", &[]), 3, 0.0),
        ("v2.1 videos", made::v2_videos("frames-v2v"), 3, 3.0),
        ("v2.0 images", made::v2_images("frames-v2i"), 1, 0.0),
    ] {
        let found = greys(&folder, episodes);
        for (episode, frames) in found.iter().enumerate() {
            assert_eq!(frames.len(), LENGTHS[episode], "{name}");
            for (index, level) in frames.iter().enumerate() {
                let expected = f64::from(grey(episode, index));
                assert!(
                    (level - expected).abs() <= tolerance,
                    "{name}, episode {episode}, frame {index}: {level} instead of {expected}"
                );
            }
        }
        let listing = DataSet::open(&folder.0).unwrap().listing().unwrap();
        for (place, entry) in listing.episodes.iter().enumerate() {
            assert_eq!(entry.task, TASKS[place], "{name}");
            assert_eq!(entry.first_index, [0, 9, 15][place], "{name}");
        }
        assert_eq!(listing.other_task(0), Some(TASKS[1]));
        assert_eq!(listing.other_task(2), Some(TASKS[1]));
        let successes = DataSet::open(&folder.0)
            .unwrap()
            .successes()
            .unwrap()
            .unwrap();
        assert_eq!(
            successes.into_values().collect::<Vec<_>>(),
            [true, true, false]
        );
    }
}

fn score(folder: &Folder, out: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_policy-studio"))
        .args([
            "score",
            "--device",
            "cpu",
            "--pre-resize",
            "64",
            "--prefixes",
            "3",
        ])
        .arg("--scorer")
        .arg(checkpoint())
        .arg("--dataset")
        .arg(&folder.0)
        .arg("--out")
        .arg(out)
        .args(arguments)
        .output()
        .unwrap()
}

fn json_of(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{error}: {} {}", text(&output.stdout), text(&output.stderr))
    })
}

fn lines(path: &Path) -> Vec<Value> {
    fs::read_to_string(path)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn a_run_goes_on_where_it_was_and_writes_what_others_read() {
    let folder = made::v3_images("run", &[]);
    let out = Folder::new("run-out");
    let first = score(&folder, &out.0, &["--episodes", "0-1", "--json"]);
    assert!(first.status.success(), "{}", text(&first.stderr));
    let summary = json_of(&first);
    assert_eq!(
        (&summary["scored"], &summary["skipped"]),
        (&json!(2), &json!(0))
    );
    // Two successes have no area under a curve.
    assert_eq!(summary["metrics"]["success_auc"], Value::Null);

    // The power fails in the middle of a line.
    let journal = out.0.join("predictions.jsonl");
    let whole = fs::read(&journal).unwrap();
    fs::write(&journal, [&whole[..], b"{\"index\": 2, \"da"].concat()).unwrap();
    let exports = [
        "--json",
        "--into-dataset",
        "--export",
        "rabc,top-awr,values",
        "--chunk",
        "2",
        "--impute",
        "interpolate",
    ];
    let second = score(&folder, &out.0, &exports);
    assert!(second.status.success(), "{}", text(&second.stderr));
    let summary = json_of(&second);
    assert_eq!(
        (&summary["scored"], &summary["skipped"]),
        (&json!(1), &json!(2))
    );
    let auc = summary["metrics"]["success_auc"].as_f64().unwrap();
    let records = lines(&journal);
    assert_eq!(records.len(), 3);
    let score_of = |episode: usize| records[episode]["success_score"].as_f64().unwrap();
    let expected = (0..2)
        .filter(|episode| score_of(*episode) > score_of(2))
        .count() as f64
        / 2.0;
    assert!((auc - expected).abs() < 1e-12);

    for (episode, record) in records.iter().enumerate() {
        let length = LENGTHS[episode];
        assert_eq!(record["index"], episode);
        assert_eq!(record["episode_index"], episode);
        assert_eq!(record["instruction"], TASKS[episode]);
        assert_eq!(record["num_frames"], length);
        assert_eq!(
            record["prefix_lengths"],
            json!([1, length.div_ceil(2), length])
        );
        assert_eq!(record["prefix_rewards"].as_array().unwrap().len(), 3);
        assert_eq!(record["reward"], record["prefix_rewards"][2]);
        let file: Value = serde_json::from_slice(
            &fs::read(out.0.join(format!("episodes/episode_{episode:06}.json"))).unwrap(),
        )
        .unwrap();
        assert_eq!(file["log_probs"], record["prefix_rewards"]);
        let other = &file["controls"][1];
        assert_eq!(other["kind"], "other_task");
        assert_eq!(
            other["instruction"],
            if episode == 1 { TASKS[2] } else { TASKS[1] }
        );
        let picture =
            fs::read_to_string(out.0.join(format!("episodes/episode_{episode:06}.svg"))).unwrap();
        assert!(picture.starts_with("<svg") && picture.trim_end().ends_with("</svg>"));
        assert_eq!(
            picture.matches("<polyline class=\"own\"").count(),
            3,
            "two panels and a legend"
        );
        assert_eq!(picture.matches("<polyline class=\"frozen\"").count(), 3);
        assert!(picture.contains(TASKS[episode]));
    }

    // The frames of the data set are those of a folder, and so are the values.
    let stills = Folder::new("run-stills");
    for index in 0..LENGTHS[0] {
        fs::write(stills.file(&format!("{index:03}.png")), made::png(0, index)).unwrap();
    }
    let one = super::json(&super::score(
        &checkpoint(),
        &[
            "--frames",
            stills.str(),
            "--fps",
            "5",
            "--prefixes",
            "3",
            "--pre-resize",
            "64",
            "--json",
        ],
    ));
    assert_eq!(one["log_probs"], records[0]["prefix_rewards"]);

    for root in [&out.0, &folder.0] {
        for name in ["topreward_progress.parquet", "sarm_progress.parquet"] {
            let reader = SerializedFileReader::new(File::open(root.join(name)).unwrap()).unwrap();
            let rows: Vec<_> = reader
                .get_row_iter(None)
                .unwrap()
                .map(Result::unwrap)
                .collect();
            assert_eq!(rows.len(), 22, "{name}");
            let last = &rows[21];
            assert_eq!(
                [last.get_long(0), last.get_long(1), last.get_long(2)].map(Result::unwrap),
                [21, 2, 6]
            );
            let progress = numbers(&records[0]["normalized_log_probs"]);
            let at = |frame: usize| f64::from(rows[frame].get_float(3).unwrap());
            assert!((at(0) - progress[0]).abs() < 1e-6 && (at(8) - progress[2]).abs() < 1e-6);
        }
    }
    let reader =
        SerializedFileReader::new(File::open(out.0.join("rabc_weights.parquet")).unwrap()).unwrap();
    assert_eq!(reader.metadata().file_metadata().num_rows(), 22);
    let read = |name: &str| -> Value {
        serde_json::from_slice(&fs::read(out.0.join(name)).unwrap()).unwrap()
    };
    let awr = read("top_awr_weights.json");
    assert_eq!(awr["episodes"][2]["weights"].as_array().unwrap().len(), 2);
    let values = read("value_annotations.json");
    assert_eq!(
        (&values["gamma"], &values["impute"]),
        (&json!(0.99), &json!("interpolate"))
    );
    let (rewards, worth) = (
        numbers(&values["episodes"][1]["rewards"]),
        numbers(&values["episodes"][1]["values"]),
    );
    assert_eq!((rewards.len(), worth.len()), (6, 6));
    assert!((worth[4] - (rewards[4] + 0.99 * worth[5])).abs() < 1e-9);
    assert_eq!(
        read("summary.json")["metrics"]["voc_valid_count"],
        summary["metrics"]["voc_valid_count"]
    );

    // A third run has nothing to do; one with another setting is refused.
    let third = json_of(&score(&folder, &out.0, &["--json"]));
    assert_eq!(
        (&third["scored"], &third["skipped"]),
        (&json!(0), &json!(3))
    );
    let other = score(&folder, &out.0, &["--profile", "lerobot"]);
    assert_eq!(other.status.code(), Some(1));
    assert!(
        text(&other.stderr).contains("profile \"aligned\""),
        "{}",
        text(&other.stderr)
    );
    // Labels of one's own, and people's words.
    let labels = out.file("labels.csv");
    fs::write(&labels, "episode_index,success\n0,0\n1,0\n2,1\n").unwrap();
    let labelled = score(&folder, &out.0, &["--labels", labels.to_str().unwrap()]);
    assert!(
        text(&labelled.stdout).contains(&format!(
            "success AUC {:.3} over 1 successes and 2 failures",
            1.0 - expected
        )),
        "{}",
        text(&labelled.stdout)
    );
}

#[test]
fn an_episode_that_cannot_be_read_is_named_and_the_others_are_scored() {
    let folder = made::v2_videos("broken");
    let out = Folder::new("broken-out");
    let path = folder
        .0
        .join(format!("videos/chunk-000/{CAMERA}/episode_000001.mp4"));
    let whole = fs::read(&path).unwrap();
    // Another episode's video: it has seven frames where there should be six.
    made::video(&path, &[2]);
    let longer = score(&folder, &out.0, &["--json"]);
    assert_eq!(
        longer.status.code(),
        Some(0),
        "a longer video has the episode at its start"
    );
    fs::remove_dir_all(&out.0).unwrap();
    fs::write(&path, &whole[..whole.len() / 3]).unwrap();
    let first = score(&folder, &out.0, &["--json"]);
    assert_eq!(first.status.code(), Some(1));
    let summary = json_of(&first);
    assert_eq!(
        (&summary["scored"], &summary["error_count"]),
        (&json!(2), &json!(1))
    );
    assert_eq!(summary["failed"][0]["episode_index"], 1);
    assert!(
        text(&first.stderr).contains("episode_000001.mp4"),
        "{}",
        text(&first.stderr)
    );
    fs::write(&path, whole).unwrap();
    let second = score(&folder, &out.0, &["--json"]);
    assert_eq!(second.status.code(), Some(0), "{}", text(&second.stderr));
    assert_eq!(json_of(&second)["skipped"], 2);
}

#[test]
fn what_cannot_be_a_data_set_is_refused_with_its_reason() {
    let two = made::v3_images("cameras", &["observation.images.wrist"]);
    let out = Folder::new("refused-out");
    for (arguments, status, reason) in [
        (vec![], 1, "several cameras"),
        (vec!["--camera", "left"], 1, "observation.images.wrist"),
        (
            vec!["--camera", "top", "--episodes", "1-5"],
            1,
            "from 0 to 2",
        ),
        (
            vec!["--camera", "top", "--episodes", "5-1"],
            2,
            "range such as",
        ),
        (
            vec!["--camera", "top", "--labels", "nowhere.csv"],
            1,
            "nowhere.csv",
        ),
        (vec!["--camera", "top", "--fps", "5"], 2, "--fps"),
        (
            vec!["--camera", "top", "--video", "a.mp4"],
            2,
            "cannot be used with",
        ),
        (
            vec![
                "--camera",
                "top",
                "--gamma",
                "2",
                "--export",
                "values",
                "--episodes",
                "1",
            ],
            1,
            "gamma",
        ),
    ] {
        let output = score(&two, &out.0, &arguments);
        assert_eq!(
            output.status.code(),
            Some(status),
            "{arguments:?}: {}",
            text(&output.stderr)
        );
        assert!(
            text(&output.stderr).contains(reason),
            "{arguments:?}: {}",
            text(&output.stderr)
        );
    }
    let none = Folder::new("no-set");
    let output = score(&none, &out.0, &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains("no LeRobot data set"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn the_baseline_goes_on_where_it_was() {
    let folder = made::v3_images("baseline", &[]);
    let out = Folder::new("baseline-out");
    let arguments = [
        "--method",
        "gvl",
        "--gvl-frames",
        "4",
        "--gvl-tokens",
        "5",
        "--json",
    ];
    let first = score(
        &folder,
        &out.0,
        &[&arguments[..], &["--episodes", "0,2"]].concat(),
    );
    // A random model writes no percentages: no answer is usable, none is counted, and that is no success.
    assert_eq!(first.status.code(), Some(1), "{}", text(&first.stderr));
    let summary = json_of(&first);
    assert_eq!(
        (
            &summary["num_examples"],
            &summary["num_examples_used_for_metrics"]
        ),
        (&json!(2), &json!(0))
    );
    assert_eq!(summary["voc_mean"], Value::Null);
    let second = json_of(&score(&folder, &out.0, &arguments));
    assert_eq!(second["num_examples"], 3);
    let records = lines(&out.0.join("gvl_predictions.jsonl"));
    assert_eq!(records.len(), 3);
    assert_eq!(records[2]["eval_episode"]["episode_index"], 1);
    assert_eq!(
        records[2]["eval_episode"]["shuffled_frames_indices"]
            .as_array()
            .unwrap()
            .len(),
        4
    );
    assert_eq!(
        records[2]["error_count"]["PercentagesCountMismatchError"],
        1
    );
}
