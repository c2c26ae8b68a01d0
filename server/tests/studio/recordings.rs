//! Recorded episodes and their videos.

use super::{
    bench::*,
    made::{self, CAMERA, Folder},
};
use policy_studio::recordings::Recordings;
use protocol::episodes::EpisodeList;
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
    // The first two share a file, one after the other.
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
    assert!(refusal(&images, None).contains("no camera whose pictures are videos"));
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

    // A data set from a stranger that points at what is beside it.
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
