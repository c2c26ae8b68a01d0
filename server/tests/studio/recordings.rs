//! Recorded episodes and their videos.

use super::{
    made::{self, CAMERA, Folder},
    support::*,
};
use protocol::episodes::EpisodeList;
use server::recordings::Recordings;
use std::fs;

async fn listed(studio: &TestStudio) -> EpisodeList {
    let answer = studio.request("GET", "/api/episodes", "").await;
    assert_eq!(answer.status, 200);
    serde_json::from_slice(&answer.body).unwrap()
}

#[tokio::test]
async fn episodes_are_listed_with_their_videos_in_every_layout() {
    let (shared, own) = (made::v3_videos("rec-v3"), made::v2_videos("rec-v2"));
    let mut recordings = Recordings::default();
    for folder in [&shared, &own] {
        let added = recordings.add(&folder.0, None).unwrap();
        assert_eq!((added.episodes, added.camera.as_str()), (3, CAMERA));
        assert!(added.left_out.is_empty(), "{:?}", added.left_out);
    }
    let studio = TestStudio::with_recordings(recordings).await;
    let list = listed(&studio).await;
    assert_eq!(list.episodes.len(), 6);
    for (set, folder) in [&shared, &own].into_iter().enumerate() {
        let name = folder.0.file_name().unwrap().to_str().unwrap();
        for (index, episode) in list.episodes[3 * set..][..3].iter().enumerate() {
            assert_eq!(episode.id, format!("{set}/{index}"));
            assert_eq!(
                (episode.dataset.as_str(), episode.episode),
                (name, index as u64)
            );
            assert_eq!(episode.instruction, made::TASKS[index]);
            assert_eq!(
                (episode.fps, episode.frames as usize),
                (made::FPS, made::LENGTHS[index])
            );
            let secs = made::LENGTHS[index] as f64 / made::FPS;
            assert!((episode.to_secs - episode.from_secs - secs).abs() < 1e-9);
        }
    }
    // The first two episodes share a file.
    let [first, second, third, fourth, ..] = list.episodes.as_slice() else {
        panic!("{list:?}");
    };
    assert_eq!(first.video_url, second.video_url);
    assert_eq!((first.from_secs, second.from_secs), (0.0, 1.8));
    assert_ne!(first.video_url, third.video_url);
    assert_eq!((third.from_secs, fourth.from_secs), (0.0, 0.0));
    for (episode, path) in [
        (
            second,
            shared
                .0
                .join(format!("videos/{CAMERA}/chunk-000/file-000.mp4")),
        ),
        (
            third,
            shared
                .0
                .join(format!("videos/{CAMERA}/chunk-000/file-001.mp4")),
        ),
        (
            fourth,
            own.0
                .join(format!("videos/chunk-000/{CAMERA}/episode_000000.mp4")),
        ),
    ] {
        let whole = fs::read(path).unwrap();
        let answer = studio.request("GET", &episode.video_url, "").await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (200, "video/mp4")
        );
        assert!(answer.body == whole);
        let range = "Range: bytes=100-299\r\n";
        let part = studio.request("GET", &episode.video_url, range).await;
        assert_eq!((part.status, part.body == whole[100..300]), (206, true));
    }
    for path in [
        "0/2",
        "2/0",
        "0/-1",
        "0/..%2f..%2fmeta%2finfo.json",
        "../../meta/info.json",
        "0/",
        "0/0.mp4",
    ] {
        let path = format!("/api/episodes/video/{path}");
        assert_eq!(studio.request("GET", &path, "").await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn without_data_sets_the_list_is_empty() {
    let studio = TestStudio::start().await;
    assert!(listed(&studio).await.episodes.is_empty());
}

#[test]
fn what_cannot_be_shown_is_refused_or_left_out_with_the_reason() {
    let refusal = |folder: &Folder, camera: Option<&str>| {
        Recordings::default()
            .add(&folder.0, camera)
            .unwrap_err()
            .to_string()
    };
    let images = made::v3_images("rec-images", &[]);
    assert!(refusal(&images, None).contains("no camera with videos"));
    let videos = made::v3_videos("rec-wrong");
    let named = Recordings::default().add(&videos.0, Some("top")).unwrap();
    assert_eq!((named.camera.as_str(), named.episodes), (CAMERA, 3));
    assert!(refusal(&videos, Some("wrist")).contains("no camera \"wrist\""));
    assert!(refusal(&Folder::new("rec-empty"), None).contains("meta/info.json"));

    fs::remove_file(
        videos
            .0
            .join(format!("videos/{CAMERA}/chunk-000/file-000.mp4")),
    )
    .unwrap();
    let added = Recordings::default().add(&videos.0, None).unwrap();
    assert_eq!((added.episodes, added.left_out.len()), (1, 2));
    assert!(
        added.left_out[0].contains("file-000.mp4"),
        "{:?}",
        added.left_out
    );

    // A data set that points to files outside of its folder.
    let info = videos.0.join("meta/info.json");
    let text = fs::read_to_string(&info).unwrap();
    let outside = Folder::new("rec-outside");
    fs::write(outside.file("video.mp4"), "not yours").unwrap();
    for template in [
        format!(
            "../{}/video.mp4",
            outside.0.file_name().unwrap().to_str().unwrap()
        ),
        outside.file("video.mp4").display().to_string(),
    ] {
        let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
        value["video_path"] = template.clone().into();
        fs::write(&info, value.to_string()).unwrap();
        let added = Recordings::default().add(&videos.0, None).unwrap();
        assert_eq!(added.episodes, 0, "{template}");
        assert!(
            added.left_out[0].contains("outside of the data set"),
            "{:?}",
            added.left_out
        );
    }
    let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
    value["fps"] = 0.into();
    fs::write(&info, value.to_string()).unwrap();
    assert!(refusal(&videos, None).contains("fps"));
}

/// A data set may come from an untrusted source, with links among its files.
#[cfg(unix)]
#[test]
fn links_are_followed_only_within_the_data_set() {
    use std::os::unix::fs::symlink;
    let outside = Folder::new("rec-beside");
    let secret = outside.file("secret.mp4");
    fs::write(&secret, "not yours").unwrap();
    let listed = |folder: &std::path::Path| {
        let added = Recordings::default().add(folder, None).unwrap();
        (added.episodes, added.left_out)
    };
    let video = |folder: &Folder, number: usize| {
        folder
            .0
            .join(format!("videos/chunk-000/{CAMERA}/episode_{number:06}.mp4"))
    };
    // A link to another file of this machine.
    let set = made::v2_videos("rec-link");
    fs::remove_file(video(&set, 1)).unwrap();
    symlink(&secret, video(&set, 1)).unwrap();
    let (episodes, left_out) = listed(&set.0);
    assert_eq!(episodes, 2);
    assert!(
        left_out[0].contains("outside of the data set"),
        "{left_out:?}"
    );
    // A link to a link, and a link within the data set.
    let inner = set.0.join("inner.mp4");
    symlink(&secret, &inner).unwrap();
    fs::remove_file(video(&set, 1)).unwrap();
    symlink(&inner, video(&set, 1)).unwrap();
    assert_eq!(listed(&set.0).0, 2);
    fs::remove_file(video(&set, 1)).unwrap();
    symlink(video(&set, 2), video(&set, 1)).unwrap();
    assert_eq!(listed(&set.0).0, 3);
    // The data set itself may be a link, because the user named it.
    let link = outside.0.join("set");
    symlink(&set.0, &link).unwrap();
    assert_eq!(listed(&link).0, 3);
    // A folder that is a link to one outside of the data set.
    let folder = set.0.join("videos");
    fs::rename(&folder, outside.0.join("videos")).unwrap();
    symlink(outside.0.join("videos"), &folder).unwrap();
    let (episodes, left_out) = listed(&set.0);
    assert_eq!((episodes, left_out.len()), (0, 3));

    // The Hugging Face cache: every file is a link to a blob of the same repository.
    let whole = made::v2_videos("rec-cache-whole");
    let cache = Folder::new("rec-cache");
    let repository = cache.0.join("datasets--lab--drawer");
    let snapshot = repository.join("snapshots/0123abcd");
    fs::create_dir_all(repository.join("blobs")).unwrap();
    for (number, name) in [
        "meta/info.json".to_owned(),
        "meta/episodes.jsonl".to_owned(),
        format!("videos/chunk-000/{CAMERA}/episode_000000.mp4"),
        format!("videos/chunk-000/{CAMERA}/episode_000001.mp4"),
        format!("videos/chunk-000/{CAMERA}/episode_000002.mp4"),
    ]
    .into_iter()
    .enumerate()
    {
        let blob = repository.join(format!("blobs/{number:040}"));
        fs::copy(whole.0.join(&name), &blob).unwrap();
        let link = snapshot.join(&name);
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(blob, link).unwrap();
    }
    let mut recordings = Recordings::default();
    assert_eq!(recordings.add(&snapshot, None).unwrap().episodes, 3);
    let last = snapshot.join(format!("videos/chunk-000/{CAMERA}/episode_000002.mp4"));
    fs::remove_file(&last).unwrap();
    let other = cache.0.join("datasets--lab--other/blobs");
    fs::create_dir_all(&other).unwrap();
    fs::copy(&secret, other.join("blob")).unwrap();
    symlink(other.join("blob"), &last).unwrap();
    assert_eq!(listed(&snapshot).0, 2);
}

#[test]
fn what_is_not_shown_does_not_stop_a_data_set() {
    let set = made::v3_videos("rec-odd");
    // Metadata files of macOS, an unfinished file, a depth camera in first position, and no tasks.
    for name in ["data/chunk-000", "meta/episodes/chunk-000"] {
        fs::write(
            set.file(&format!("{name}/._file-000.parquet")),
            b"\x00\x05\x16\x07",
        )
        .unwrap();
        fs::write(set.file(&format!("{name}/file-009.parquet")), "PAR1").unwrap();
    }
    let info = set.0.join("meta/info.json");
    let mut value: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(&info).unwrap()).unwrap();
    value["features"]["observation.images.a_range"] = serde_json::json!({
        "dtype": "video", "shape": [48, 64, 1], "info": {"video.is_depth_map": true}
    });
    fs::write(&info, value.to_string()).unwrap();
    let added = Recordings::default().add(&set.0, None).unwrap();
    assert_eq!((added.episodes, added.camera.as_str()), (3, CAMERA));
    assert!(
        added
            .notes
            .iter()
            .any(|note| note.contains("was never finished")),
        "{:?}",
        added.notes
    );
    let refused = Recordings::default().add(&set.0, Some("a_range"));
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("is a depth camera"), "{refused}");
}
