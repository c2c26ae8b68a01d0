//! Data sets written by LeRobot and pyarrow: `tests/goldens/lerobot/generate.py`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use datasets::lerobot::{
    DataSet, DataSetError, Episode, NormMode, Normalisation, Stats, Wanted,
    windows::{Cut, cut},
};
use serde::Deserialize;
use std::path::PathBuf;

fn goldens() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/goldens/lerobot")
}

const WANTED: Wanted<'_> = Wanted {
    action_key: "action",
    state_key: Some("observation.state"),
    max_episodes: None,
};

fn read(name: &str) -> Result<Vec<Episode>, DataSetError> {
    DataSet::open(&goldens().join(name))?.episodes(&WANTED, &|_, _| ())
}

#[derive(Debug, Deserialize)]
struct Case {
    horizon: usize,
    dims: Vec<usize>,
    relative_dims: Vec<usize>,
    mode: String,
    chunks: usize,
    first: Vec<f32>,
    fnv1a: u32,
}

fn fnv1a(values: &[f32]) -> u32 {
    let bytes = values.iter().flat_map(|value| value.to_le_bytes());
    bytes.fold(0x811C_9DC5, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

#[test]
fn chunks_equal_those_of_the_trainer_bit_for_bit() {
    let data_set = DataSet::open(&goldens().join("v3")).unwrap();
    let stats = data_set.stats("action").unwrap().unwrap();
    let cases: Vec<Case> =
        serde_json::from_slice(&std::fs::read(goldens().join("expected.json")).unwrap()).unwrap();
    assert_eq!(cases.len(), 5);
    for case in cases {
        let how = Cut {
            horizon: case.horizon,
            sample_fraction: 1.0,
            dims: case.dims.clone(),
            relative_dims: case.relative_dims.clone(),
        };
        let episodes = data_set.episodes(&WANTED, &|_, _| ()).unwrap();
        let mut windows = cut(&episodes, &how).unwrap();
        let mode = [
            NormMode::Quantiles,
            NormMode::MinMax,
            NormMode::MeanStd,
            NormMode::None,
        ]
        .into_iter()
        .find(|mode| mode.lerobot_name() == case.mode)
        .unwrap();
        let stats = stats.of_dims(&case.dims).unwrap();
        windows.normalise(&Normalisation::new(mode, &stats, case.dims.len(), "action").unwrap());
        assert_eq!(windows.len(), case.chunks);
        assert!(windows.values.starts_with(&case.first), "{case:?}");
        assert_eq!(fnv1a(&windows.values), case.fnv1a, "{case:?}");
    }
}

#[test]
fn every_layout_and_encoding_gives_the_same_episodes() {
    let v3 = read("v3").unwrap();
    let frames: Vec<usize> = v3.iter().map(Episode::frames).collect();
    assert_eq!(frames, [30, 12, 45, 8, 21]);
    assert!(
        v3.iter()
            .all(|episode| episode.action_dims == 7 && episode.state_dims == 7)
    );
    assert_eq!(read("v21").unwrap(), v3);
    for name in [
        "list",
        "float64",
        "row_groups",
        "none",
        "snappy",
        "gzip",
        "zstd",
        "lz4",
        "brotli",
        "page_v2",
    ] {
        assert_eq!(read(&format!("kinds/{name}")).unwrap(), v3[..1], "{name}");
    }
    let scalar = read("kinds/scalar").unwrap();
    let first: Vec<f32> = v3[0].actions.iter().copied().step_by(7).collect();
    assert_eq!((scalar[0].action_dims, &scalar[0].actions), (1, &first));

    let half = read("kinds/float16").unwrap();
    let rounded = v3[0]
        .actions
        .iter()
        .map(|value| half::f16::from_f32(*value));
    let rounded: Vec<f32> = rounded.map(half::f16::to_f32).collect();
    assert_eq!((half[0].action_dims, &half[0].actions), (7, &rounded));

    let info = DataSet::open(&goldens().join("v3")).unwrap();
    let info = info.info();
    assert_eq!(info.total_frames, Some(116));
    assert_eq!(
        info.features["action"].dim_names().unwrap()[6],
        "gripper_percent"
    );
}

#[test]
fn statistics_of_episodes_aggregate_to_those_of_the_data_set() {
    let stats = |name: &str| {
        let data_set = DataSet::open(&goldens().join(name)).unwrap();
        data_set.stats("action").unwrap().unwrap()
    };
    let (whole, added) = (stats("v3"), stats("v21"));
    let episodes = read("v3").unwrap();
    let all: Vec<f32> = episodes.iter().flat_map(|e| e.actions.clone()).collect();
    let own = Stats::of_values(&all, 7);
    let close = |a: &Option<Vec<f64>>, b: &Option<Vec<f64>>, tolerance: f64| {
        let (a, b) = (a.as_ref().unwrap(), b.as_ref().unwrap());
        assert_eq!(a.len(), b.len());
        for (a, b) in a.iter().zip(b) {
            assert!((a - b).abs() <= tolerance * b.abs().max(1.0), "{a} {b}");
        }
    };
    for (one, other) in [(&added, &own), (&whole, &own)] {
        close(&one.min, &other.min, 1e-14);
        close(&one.max, &other.max, 1e-14);
        close(&one.mean, &other.mean, 1e-6);
        close(&one.std, &other.std, 1e-4);
    }
    // LeRobot aggregates quantiles as weighted means over episodes; a v2.1 set has none.
    assert!(whole.q01.is_some() && added.q01.is_none());
    assert!(
        Normalisation::new(NormMode::Quantiles, &added, 7, "action")
            .unwrap_err()
            .to_string()
            .contains("q01")
    );
    // NumPy: quantile([0, 1, 2, 3], 0.01) = 0.03.
    let simple = Stats::of_values(&[3.0, 0.0, 1.0, 2.0], 1);
    assert!((simple.q01.unwrap()[0] - 0.03).abs() < 1e-12);
    assert!((simple.q99.unwrap()[0] - 2.97).abs() < 1e-12);
}

#[test]
fn samples_are_evenly_spaced_and_deterministic() {
    let episodes = read("v3").unwrap();
    let how = |sample_fraction, horizon| Cut {
        horizon,
        sample_fraction,
        dims: vec![0],
        relative_dims: vec![],
    };
    let all = cut(&episodes, &how(1.0, 10)).unwrap();
    assert_eq!((all.len(), all.too_short), (21 + 3 + 36 + 12, 1));
    let some = cut(&episodes, &how(0.25, 10)).unwrap();
    assert_eq!(some, cut(&episodes, &how(0.25, 10)).unwrap());
    // At least one of each episode.
    assert_eq!(some.episodes.len(), 5 + 1 + 9 + 3);
    // Every fourth window of the third episode.
    let window = |windows: &datasets::lerobot::windows::Windows, index: usize| {
        windows.values[index * 10..][..10].to_vec()
    };
    for sample in 0..9 {
        assert_eq!(window(&some, 6 + sample), window(&all, 24 + 4 * sample));
    }
    assert_eq!(cut(&episodes, &how(1.0, 45)).unwrap().len(), 1);
    assert!(cut(&episodes, &how(1.0, 46)).unwrap().is_empty());
    let wide = Cut {
        dims: vec![0, 7],
        ..how(1.0, 10)
    };
    let error = cut(&episodes, &wide).unwrap_err().to_string();
    assert!(error.contains("dimension 7"), "{error}");
}

#[test]
fn max_episodes_limits_the_episodes_read() {
    for name in ["v3", "v21"] {
        let data_set = DataSet::open(&goldens().join(name)).unwrap();
        let wanted = Wanted {
            max_episodes: Some(2),
            state_key: None,
            ..WANTED
        };
        let episodes = data_set.episodes(&wanted, &|_, _| ()).unwrap();
        let indices: Vec<i64> = episodes.iter().map(|episode| episode.index).collect();
        assert_eq!(indices, [0, 1]);
        assert!(episodes.iter().all(|episode| episode.states.is_empty()));
    }
}

#[test]
fn unreadable_data_sets_are_refused_with_the_cause() {
    for (name, expected) in [
        ("bad/null_row", "row 4"),
        ("bad/short_row", "row 4 has 3 values"),
        ("bad/empty_row", "row 4"),
        ("bad/nested", "lists of lists"),
        ("bad/text", "does not hold numbers"),
        ("bad/gap", "frame 17 is missing"),
        ("bad/nan", "frame 6: dimension 2"),
        ("bad/no_action", "no column \"action\""),
        ("kinds", "no LeRobot data set"),
    ] {
        let error = read(name).unwrap_err().to_string();
        assert!(error.contains(expected), "{name}: {error}");
    }
    let folder = std::env::temp_dir().join(format!("episodes-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("meta")).unwrap();
    std::fs::create_dir_all(folder.join("data/chunk-000")).unwrap();
    let write = |name: &str, content: &[u8]| std::fs::write(folder.join(name), content).unwrap();
    let error = || {
        DataSet::open(&folder)
            .and_then(|data_set| data_set.episodes(&WANTED, &|_, _| ()))
            .unwrap_err()
            .to_string()
    };
    write("meta/info.json", b"{");
    assert!(error().contains("info.json"), "{}", error());
    write("meta/info.json", br#"{"codebase_version": "v9.0"}"#);
    assert!(error().contains("v9.0"), "{}", error());
    write("meta/info.json", br#"{"codebase_version": "v3.0"}"#);
    assert!(error().contains("no .parquet file"), "{}", error());
    let whole =
        std::fs::read(goldens().join("kinds/none/data/chunk-000/episode_000000.parquet")).unwrap();
    // Truncated or overwritten anywhere: an error or the right rows, never a panic.
    for keep in (0..whole.len()).step_by(97) {
        write("data/chunk-000/file-000.parquet", &whole[..keep]);
        assert!(error().contains("file-000.parquet"), "{keep}: {}", error());
        let mut damaged = whole.clone();
        damaged[keep] ^= 0x5A;
        write("data/chunk-000/file-000.parquet", &damaged);
        DataSet::open(&folder)
            .unwrap()
            .episodes(&WANTED, &|_, _| ())
            .ok();
    }
    std::fs::remove_dir_all(&folder).unwrap();
}
