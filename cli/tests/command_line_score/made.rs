//! Small data sets, made in every layout that is read.
//!
//! Frame `f` of episode `e` is of one grey, which says which frame it is; codecs keep it to a few levels.

use parquet::{
    data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int64Type},
    file::{properties::WriterProperties, writer::SerializedFileWriter},
    schema::parser::parse_message_type,
};
use serde_json::json;
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

pub(crate) const CAMERA: &str = "observation.images.top";
pub(crate) const LENGTHS: [usize; 3] = [9, 6, 7];
pub(crate) const TASKS: [&str; 3] = ["open the drawer", "close the box", "open the drawer"];
pub(crate) const FPS: f64 = 5.0;
/// The first two episodes share a file where files are shared.
const FILES: [&[usize]; 2] = [&[0, 1], &[2]];

/// A folder that goes away with the test.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        /// Tests run beside each other and may name their folders alike.
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let path =
            std::env::temp_dir().join(format!("score-{}-{number}-{name}", std::process::id()));
        fs::remove_dir_all(&path).ok();
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn str(&self) -> &str {
        self.0.to_str().unwrap()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

pub(crate) fn grey(episode: usize, frame: usize) -> u8 {
    (20 + 70 * episode + 7 * frame) as u8
}

pub(crate) fn frame(episode: usize, frame: usize) -> image::RgbImage {
    let level = grey(episode, frame);
    image::RgbImage::from_pixel(64, 48, image::Rgb([level, level, level]))
}

pub(crate) fn png(episode: usize, number: usize) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    frame(episode, number)
        .write_to(&mut bytes, image::ImageFormat::Png)
        .unwrap();
    bytes.into_inner()
}

/// One value per row, or a list per row.
enum Column {
    I64(Vec<i64>),
    F64(Vec<f64>),
    Bool(Vec<bool>),
    Files(Vec<Option<Vec<u8>>>),
    Lists(Vec<Vec<&'static str>>),
}

fn table(path: &Path, columns: Vec<(String, Column)>) {
    let lines: Vec<String> = columns
        .iter()
        .map(|(name, column)| match column {
            Column::I64(_) => format!("optional int64 {name};"),
            Column::F64(_) => format!("optional double {name};"),
            Column::Bool(_) => format!("optional boolean {name};"),
            Column::Files(_) => {
                format!("optional group {name} {{ optional binary bytes; optional binary path (STRING); }}")
            }
            Column::Lists(_) => format!(
                "optional group {name} (LIST) {{ repeated group list {{ optional binary element (STRING); }} }}"
            ),
        })
        .collect();
    let schema =
        Arc::new(parse_message_type(&format!("message schema {{ {} }}", lines.join(" "))).unwrap());
    let file = File::create(path).unwrap();
    let mut writer =
        SerializedFileWriter::new(file, schema, Arc::new(WriterProperties::default())).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut write = |column: Column| match column {
        Column::I64(values) => plain::<Int64Type>(&mut group, &values),
        Column::F64(values) => plain::<DoubleType>(&mut group, &values),
        Column::Bool(values) => plain::<BoolType>(&mut group, &values),
        Column::Files(values) => {
            let there: Vec<ByteArray> = values
                .iter()
                .flatten()
                .cloned()
                .map(ByteArray::from)
                .collect();
            let levels: Vec<i16> = values
                .iter()
                .map(|value| if value.is_some() { 2 } else { 1 })
                .collect();
            let mut column = group.next_column().unwrap().unwrap();
            column
                .typed::<ByteArrayType>()
                .write_batch(&there, Some(&levels), None)
                .unwrap();
            column.close().unwrap();
            // The other half of the record: the path of those without bytes.
            let paths: Vec<ByteArray> = (0..values.len())
                .filter(|row| values[*row].is_none())
                .map(|row| ByteArray::from(format!("images/{row}.png").into_bytes()))
                .collect();
            let levels: Vec<i16> = values
                .iter()
                .map(|value| if value.is_some() { 1 } else { 2 })
                .collect();
            let mut column = group.next_column().unwrap().unwrap();
            column
                .typed::<ByteArrayType>()
                .write_batch(&paths, Some(&levels), None)
                .unwrap();
            column.close().unwrap();
        }
        Column::Lists(rows) => {
            let (mut values, mut definitions, mut repetitions) =
                (Vec::new(), Vec::new(), Vec::new());
            for row in &rows {
                for (place, text) in row.iter().enumerate() {
                    values.push(ByteArray::from(*text));
                    definitions.push(3);
                    repetitions.push(i16::from(place > 0));
                }
                if row.is_empty() {
                    definitions.push(1);
                    repetitions.push(0);
                }
            }
            let mut column = group.next_column().unwrap().unwrap();
            column
                .typed::<ByteArrayType>()
                .write_batch(&values, Some(&definitions), Some(&repetitions))
                .unwrap();
            column.close().unwrap();
        }
    };
    columns.into_iter().for_each(|(_, column)| write(column));
    group.close().unwrap();
    writer.close().unwrap();
}

fn plain<T: DataType>(
    group: &mut parquet::file::writer::SerializedRowGroupWriter<'_, File>,
    values: &[T::T],
) {
    let mut column = group.next_column().unwrap().unwrap();
    column
        .typed::<T>()
        .write_batch(values, Some(&vec![1; values.len()]), None)
        .unwrap();
    column.close().unwrap();
}

/// A video of these episodes, one after the other, with key frames and frames that look ahead.
pub(crate) fn video(path: &Path, episodes: &[usize]) {
    let stills = Folder::new("stills");
    let mut number = 0;
    for &episode in episodes {
        for index in 0..LENGTHS[episode] {
            fs::write(
                stills.file(&format!("{number:03}.png")),
                png(episode, index),
            )
            .unwrap();
            number += 1;
        }
    }
    let done = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-y", "-framerate", "5", "-i"])
        .arg(stills.0.join("%03d.png"))
        .args([
            "-c:v", "mpeg4", "-q:v", "1", "-g", "4", "-bf", "2", "-pix_fmt", "yuv420p",
        ])
        .arg(path)
        .status()
        .expect("this test makes videos with ffmpeg; `cargo xtask test` installs it");
    assert!(done.success());
}

fn info(folder: &Folder, version: &str, camera_is_video: bool, more_cameras: &[&str]) {
    let kind = if camera_is_video { "video" } else { "image" };
    let mut features = json!({
        "action": {"dtype": "float32", "shape": [2], "names": null},
        "next.success": {"dtype": "bool", "shape": [1], "names": null},
        CAMERA: {"dtype": kind, "shape": [48, 64, 3], "names": ["height", "width", "channels"]},
    });
    for camera in more_cameras {
        features[*camera] = json!({"dtype": kind, "shape": [48, 64, 3], "names": null});
    }
    let (data, video) = if version == "v3.0" {
        (
            "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
            "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4",
        )
    } else {
        (
            "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet",
            "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4",
        )
    };
    let info = json!({
        "codebase_version": version, "fps": 5, "total_episodes": 3, "total_frames": 22, "chunks_size": 1000,
        "data_path": data, "video_path": if camera_is_video { json!(video) } else { json!(null) },
        "features": features,
    });
    fs::write(folder.file("meta/info.json"), info.to_string()).unwrap();
}

/// The rows of these episodes. Only the last episode does not succeed.
fn data(path: &Path, episodes: &[usize], images: Option<&dyn Fn(usize, usize) -> Option<Vec<u8>>>) {
    let rows: Vec<(usize, usize)> = episodes
        .iter()
        .flat_map(|&episode| (0..LENGTHS[episode]).map(move |index| (episode, index)))
        .collect();
    let mut columns = vec![
        (
            "episode_index".to_owned(),
            Column::I64(rows.iter().map(|(episode, _)| *episode as i64).collect()),
        ),
        (
            "frame_index".to_owned(),
            Column::I64(rows.iter().map(|(_, index)| *index as i64).collect()),
        ),
        (
            "next.success".to_owned(),
            Column::Bool(
                rows.iter()
                    .map(|(episode, index)| *episode < 2 && index + 1 == LENGTHS[*episode])
                    .collect(),
            ),
        ),
    ];
    if let Some(images) = images {
        let files = rows
            .iter()
            .map(|(episode, index)| images(*episode, *index))
            .collect();
        columns.push((CAMERA.to_owned(), Column::Files(files)));
    }
    table(path, columns);
}

fn shared_metadata(folder: &Folder, with_videos: bool) {
    let mut columns = vec![
        ("episode_index".to_owned(), Column::I64(vec![0, 1, 2])),
        (
            "tasks".to_owned(),
            Column::Lists(TASKS.map(|task| vec![task, "something else"]).to_vec()),
        ),
        (
            "length".to_owned(),
            Column::I64(LENGTHS.map(|length| length as i64).to_vec()),
        ),
        ("dataset_from_index".to_owned(), Column::I64(vec![0, 9, 15])),
        ("dataset_to_index".to_owned(), Column::I64(vec![9, 15, 22])),
        ("data/chunk_index".to_owned(), Column::I64(vec![0, 0, 0])),
        ("data/file_index".to_owned(), Column::I64(vec![0, 0, 1])),
    ];
    if with_videos {
        let name = |what: &str| format!("videos/{CAMERA}/{what}");
        columns.push((name("chunk_index"), Column::I64(vec![0, 0, 0])));
        columns.push((name("file_index"), Column::I64(vec![0, 0, 1])));
        columns.push((
            name("from_timestamp"),
            Column::F64(vec![0.0, 9.0 / FPS, 0.0]),
        ));
        columns.push((
            name("to_timestamp"),
            Column::F64(vec![9.0 / FPS, 15.0 / FPS, 7.0 / FPS]),
        ));
    }
    table(
        &folder.file("meta/episodes/chunk-000/file-000.parquet"),
        columns,
    );
}

pub(crate) fn v3_videos(name: &str) -> Folder {
    let folder = Folder::new(name);
    info(&folder, "v3.0", true, &[]);
    shared_metadata(&folder, true);
    for (number, episodes) in FILES.iter().enumerate() {
        data(
            &folder.file(&format!("data/chunk-000/file-{number:03}.parquet")),
            episodes,
            None,
        );
        video(
            &folder.file(&format!("videos/{CAMERA}/chunk-000/file-{number:03}.mp4")),
            episodes,
        );
    }
    folder
}

pub(crate) fn v3_images(name: &str, more_cameras: &[&str]) -> Folder {
    let folder = Folder::new(name);
    info(&folder, "v3.0", false, more_cameras);
    shared_metadata(&folder, false);
    for (number, episodes) in FILES.iter().enumerate() {
        let path = folder.file(&format!("data/chunk-000/file-{number:03}.parquet"));
        data(
            &path,
            episodes,
            Some(&|episode, index| Some(png(episode, index))),
        );
    }
    folder
}

fn own_metadata(folder: &Folder) {
    let lines: Vec<String> = (0..3)
        .map(|episode| {
            json!({"episode_index": episode, "tasks": [TASKS[episode]], "length": LENGTHS[episode]})
                .to_string()
        })
        .collect();
    fs::write(folder.file("meta/episodes.jsonl"), lines.join("\n")).unwrap();
}

pub(crate) fn v2_videos(name: &str) -> Folder {
    let folder = Folder::new(name);
    info(&folder, "v2.1", true, &[]);
    own_metadata(&folder);
    for episode in 0..3 {
        data(
            &folder.file(&format!("data/chunk-000/episode_{episode:06}.parquet")),
            &[episode],
            None,
        );
        video(
            &folder.file(&format!(
                "videos/chunk-000/{CAMERA}/episode_{episode:06}.mp4"
            )),
            &[episode],
        );
    }
    folder
}

/// Images, every second one in a file beside the rows.
pub(crate) fn v2_images(name: &str) -> Folder {
    let folder = Folder::new(name);
    info(&folder, "v2.0", false, &[]);
    own_metadata(&folder);
    // One name for a row of any episode: only episode 0 is looked at.
    for index in 0..LENGTHS[0] {
        fs::write(folder.file(&format!("images/{index}.png")), png(0, index)).unwrap();
    }
    for episode in 0..3 {
        let path = folder.file(&format!("data/chunk-000/episode_{episode:06}.parquet"));
        data(
            &path,
            &[episode],
            Some(&|episode, index| (index % 2 == 0).then(|| png(episode, index))),
        );
    }
    folder
}
