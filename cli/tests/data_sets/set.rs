//! Small data sets, initially intact.

use crate::table::{self, Column, Columns};
use serde_json::{Value, json};
use std::{
    fs,
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering},
};

pub(crate) const LENGTHS: [usize; 3] = [12, 14, 16];
pub(crate) const TASKS: [&str; 2] = ["open the drawer", "close the box"];
pub(crate) const TOP: &str = "observation.images.top";
pub(crate) const DIMS: usize = 3;
pub(crate) const DATA: &str = "data/chunk-000/file-000.parquet";
pub(crate) const EPISODES: &str = "meta/episodes/chunk-000/file-000.parquet";

/// A temporary folder, removed at the end of the test.
#[derive(Debug)]
pub(crate) struct Set(pub(crate) PathBuf);

impl Drop for Set {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

impl Set {
    pub(crate) fn empty() -> Self {
        static CREATED: AtomicUsize = AtomicUsize::new(0);
        let number = CREATED.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("set-{}-{number}", std::process::id()));
        fs::remove_dir_all(&path).ok();
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// Layout v3.0 with all episodes in one file and images in a column.
    pub(crate) fn v3() -> Self {
        let set = Self::empty();
        set.info("v3.0", &[]);
        set.rows(DATA, &rows(&[0, 1, 2]));
        set.rows(EPISODES, &episodes());
        set.tasks();
        set
    }

    /// Layout v2.1 with a file per episode.
    pub(crate) fn v21() -> Self {
        let set = Self::empty();
        set.info("v2.1", &[]);
        let mut lines = Vec::new();
        for (episode, length) in LENGTHS.iter().enumerate() {
            set.rows(&own_file(episode), &rows(&[episode]));
            lines.push(
                json!({"episode_index": episode, "tasks": [task(episode)], "length": length}),
            );
        }
        set.lines("meta/episodes.jsonl", &lines);
        let tasks = TASKS.iter().enumerate();
        let tasks: Vec<Value> = tasks
            .map(|(number, task)| json!({"task_index": number, "task": task}))
            .collect();
        set.lines("meta/tasks.jsonl", &tasks);
        set
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.at(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub(crate) fn rows(&self, name: &str, columns: &Columns) {
        table::write(&self.at(name), columns);
    }

    pub(crate) fn lines(&self, name: &str, lines: &[Value]) {
        let lines: Vec<String> = lines.iter().map(|line| format!("{line}\n")).collect();
        self.write(name, lines.concat());
    }

    /// Truncates a file to its first half.
    pub(crate) fn cut(&self, name: &str) {
        let intact = fs::read(self.at(name)).unwrap();
        self.write(name, &intact[..intact.len() / 2]);
    }

    pub(crate) fn copy(&self, from: &str, to: &str) {
        let content = fs::read(self.at(from)).unwrap();
        self.write(to, content);
    }

    pub(crate) fn info(&self, version: &str, more: &[(&str, Value)]) {
        let mut features = json!({
            "action": {"dtype": "float32", "shape": [DIMS], "names": null},
            TOP: {"dtype": "image", "shape": [24, 32, 3], "names": ["height", "width", "channels"]},
        });
        for (name, feature) in more {
            features[*name] = feature.clone();
        }
        let data = if version == "v3.0" {
            "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
        } else {
            "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet"
        };
        let info = json!({
            "codebase_version": version, "fps": 5, "total_episodes": LENGTHS.len(),
            "total_frames": LENGTHS.iter().sum::<usize>(), "chunks_size": 1000, "data_path": data,
            "features": features,
        });
        self.write("meta/info.json", info.to_string());
    }

    pub(crate) fn tasks(&self) {
        let columns = vec![
            ("task_index".to_owned(), Column::whole([0, 1])),
            (
                "__index_level_0__".to_owned(),
                Column::Texts(TASKS.map(|task| Some(task.to_owned())).to_vec()),
            ),
        ];
        self.rows("meta/tasks.parquet", &columns);
    }
}

pub(crate) fn own_file(episode: usize) -> String {
    format!("data/chunk-000/episode_{episode:06}.parquet")
}

pub(crate) fn task(episode: usize) -> &'static str {
    TASKS[episode % 2]
}

fn first(episode: usize) -> usize {
    LENGTHS[..episode].iter().sum()
}

pub(crate) fn action(episode: usize, frame: usize) -> Vec<f32> {
    (0..DIMS)
        .map(|dim| ((frame * (dim + 1)) as f32 * 0.2 + episode as f32).sin() * 20.0)
        .collect()
}

fn image(episode: usize, frame: usize) -> Vec<u8> {
    let level = (20 + 60 * episode + 9 * frame) as u8;
    let image = image::RgbImage::from_fn(32, 24, |x, _| {
        let lit = x as usize * 16 < 32 * (frame + 1);
        image::Rgb([level, if lit { 220 } else { 30 }, 40])
    });
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// Rows of these episodes.
pub(crate) fn rows(episodes: &[usize]) -> Columns {
    let all: Vec<(usize, usize)> = episodes
        .iter()
        .flat_map(|&episode| (0..LENGTHS[episode]).map(move |frame| (episode, frame)))
        .collect();
    let integers = |of: &dyn Fn(usize, usize) -> usize| {
        Column::whole(
            all.iter()
                .map(|(episode, frame)| of(*episode, *frame) as i64),
        )
    };
    vec![
        (
            "action".to_owned(),
            Column::Vectors(
                all.iter()
                    .map(|(episode, frame)| Some(action(*episode, *frame)))
                    .collect(),
            ),
        ),
        ("frame_index".to_owned(), integers(&|_, frame| frame)),
        ("episode_index".to_owned(), integers(&|episode, _| episode)),
        (
            "index".to_owned(),
            integers(&|episode, frame| first(episode) + frame),
        ),
        ("task_index".to_owned(), integers(&|episode, _| episode % 2)),
        (
            TOP.to_owned(),
            Column::Files(
                all.iter()
                    .map(|(episode, frame)| image(*episode, *frame))
                    .collect(),
            ),
        ),
    ]
}

/// Columns of `meta/episodes`.
pub(crate) fn episodes() -> Columns {
    let of =
        |value: &dyn Fn(usize) -> usize| Column::whole((0..3).map(|episode| value(episode) as i64));
    vec![
        ("episode_index".to_owned(), of(&|episode| episode)),
        (
            "tasks".to_owned(),
            Column::Lists(
                (0..3)
                    .map(|episode| vec![task(episode).to_owned()])
                    .collect(),
            ),
        ),
        ("length".to_owned(), of(&|episode| LENGTHS[episode])),
        ("data/chunk_index".to_owned(), of(&|_| 0)),
        ("data/file_index".to_owned(), of(&|_| 0)),
        ("dataset_from_index".to_owned(), of(&first)),
        (
            "dataset_to_index".to_owned(),
            of(&|episode| first(episode + 1)),
        ),
    ]
}

/// The columns with one replaced or added.
pub(crate) fn with(mut columns: Columns, name: &str, column: Column) -> Columns {
    columns.retain(|(known, _)| known != name);
    columns.push((name.to_owned(), column));
    columns
}

pub(crate) fn without(mut columns: Columns, name: &str) -> Columns {
    columns.retain(|(known, _)| known != name);
    columns
}

/// The given rows of the columns, in this order.
pub(crate) fn select_rows(columns: &Columns, rows: &[usize]) -> Columns {
    columns
        .iter()
        .map(|(name, column)| (name.clone(), column.take(rows)))
        .collect()
}

/// Pointer file of Git LFS.
pub(crate) const POINTER: &str =
    "version https://git-lfs.github.com/spec/v1\noid sha256:abab\nsize 12345\n";
/// AppleDouble file that macOS creates beside each file on foreign file systems.
pub(crate) const SIDECAR: &[u8] = b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        \x00\x02";
