//! Files of the scorer, as a page fetches them.

use super::{http::head, support::*};
use protocol::score::ScorerManifest;
use server::{
    Limits,
    scorer_service::{Scorer, ScorerFiles},
};
use std::{
    fs,
    path::{Path, PathBuf},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

pub fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/goldens/qwen3vl")
        .join(name)
        .join("checkpoint")
}

/// A temporary folder, deleted on drop.
struct Folder(PathBuf);

impl Folder {
    fn copy_of(checkpoint: &Path, name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("scorer-{}-{name}", std::process::id()));
        fs::remove_dir_all(&folder).ok();
        fs::create_dir_all(&folder).unwrap();
        for entry in fs::read_dir(checkpoint).unwrap() {
            let path = entry.unwrap().path();
            fs::copy(&path, folder.join(path.file_name().unwrap())).unwrap();
        }
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

async fn studio(folder: &Path) -> TestStudio {
    let files = ScorerFiles::open_dir(folder).unwrap();
    TestStudio::with_scorer(Ok(Scorer::new(files, None)), Limits::default()).await
}

async fn manifest(studio: &TestStudio) -> ScorerManifest {
    let answer = studio.request("GET", "/api/scorer", "").await;
    assert_eq!(answer.status, 200);
    serde_json::from_slice(&answer.body).unwrap()
}

#[tokio::test]
async fn the_manifest_lists_exactly_the_needed_files() {
    let folder = Folder::copy_of(&golden("untied_odd"), "manifest");
    fs::write(folder.0.join("README.md"), "# A model").unwrap();
    fs::write(folder.0.join("secret.txt"), "a secret").unwrap();
    let studio = studio(&folder.0).await;
    let manifest = manifest(&studio).await;
    let names: Vec<&str> = manifest
        .files
        .iter()
        .map(|file| file.name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "config.json",
            "tokenizer.json",
            "video_preprocessor_config.json",
            "model.safetensors.index.json",
            "model-00001-of-00003.safetensors",
            "model-00002-of-00003.safetensors",
            "model-00003-of-00003.safetensors",
        ]
    );
    for file in &manifest.files {
        let content = fs::read(folder.0.join(&file.name)).unwrap();
        assert_eq!(file.bytes, content.len() as u64);
        let path = format!("/api/scorer/files/{}", file.name);
        let answer = studio.request("GET", &path, "").await;
        assert_eq!(
            (answer.status, answer.body == content),
            (200, true),
            "{path}"
        );
        assert_eq!(answer.header("content-length"), content.len().to_string());
    }
    assert!(!manifest.is_nano && manifest.note.contains("Zero-shot"));
    assert_eq!(manifest.studio_device, None);
    assert!(manifest.parameters > manifest.largest_tensor_values);
    assert_eq!(manifest.dtype, "BF16");
    // A copy of the files has the same fingerprint, and one changed weight changes it.
    let copy = Folder::copy_of(&folder.0, "copy");
    let again = |folder: &Folder| {
        ScorerFiles::open_dir(&folder.0)
            .unwrap()
            .manifest()
            .id
            .clone()
    };
    assert_eq!(again(&copy), manifest.id);
    let shard = copy.0.join("model-00002-of-00003.safetensors");
    let mut weights = fs::read(&shard).unwrap();
    *weights.last_mut().unwrap() ^= 1;
    fs::write(shard, weights).unwrap();
    assert_ne!(again(&copy), manifest.id);
}

#[tokio::test]
async fn only_listed_files_are_served() {
    let folder = Folder::copy_of(&golden("tied"), "beside");
    fs::write(folder.0.join("secret.txt"), "a secret").unwrap();
    fs::create_dir_all(folder.0.join("deeper")).unwrap();
    fs::write(folder.0.join("deeper/config.json"), "a secret").unwrap();
    let studio = studio(&folder.0).await;
    for path in [
        "secret.txt",
        "deeper/config.json",
        "deeper%2fconfig.json",
        "../scorer/files/../../secret.txt",
        "..%2f..%2f..%2f..%2fetc%2fpasswd",
        "%2e%2e%2fsecret.txt",
        "..%5c..%5csecret.txt",
        "%2fetc%2fpasswd",
        "config.json%00",
        "config.json/",
        "CONFIG.JSON",
        "",
        ".",
        "..",
        "%ff%fe",
    ] {
        let path = format!("/api/scorer/files/{path}");
        for method in ["GET", "HEAD"] {
            let answer = studio.request(method, &path, "").await;
            assert!(
                [400, 404].contains(&answer.status),
                "{method} {path}: {} {}",
                answer.status,
                answer.text()
            );
            assert!(!answer.text().contains("secret\""), "{path}");
        }
    }
    let answer = studio
        .request("POST", "/api/scorer/files/config.json", "")
        .await;
    assert_eq!(answer.status, 405);
}

#[tokio::test]
async fn a_file_is_served_by_range() {
    let studio = studio(&golden("tied")).await;
    let whole = fs::read(golden("tied").join("model.safetensors")).unwrap();
    let size = whole.len();
    let path = "/api/scorer/files/model.safetensors";
    let ranged = async |range: &str| {
        studio
            .request("GET", path, &format!("Range: {range}\r\n"))
            .await
    };
    let last = size - 1;
    for (range, part) in [
        ("bytes=0-0".to_owned(), 0..1),
        ("bytes=0-1023".to_owned(), 0..1024),
        (format!("bytes=1000-{}", size / 2), 1000..size / 2 + 1),
        (format!("bytes={last}-"), last..size),
        ("bytes=-100".to_owned(), size - 100..size),
        (format!("bytes=-{}", size + 5), 0..size),
        (format!("bytes=5-{}", size + 500), 5..size),
    ] {
        let answer = ranged(&range).await;
        assert_eq!(answer.status, 206, "{range}");
        assert_eq!(
            answer.header("content-range"),
            format!("bytes {}-{}/{size}", part.start, part.end - 1)
        );
        assert_eq!(answer.header("content-length"), part.len().to_string());
        assert_eq!(answer.header("accept-ranges"), "bytes");
        assert!(answer.body == whole[part], "{range}");
    }
    for range in [
        format!("bytes={size}-"),
        "bytes=9-3".into(),
        "bytes=x-3".into(),
        "bytes=-0".into(),
    ] {
        let answer = ranged(&range).await;
        assert_eq!(answer.status, 416, "{range}");
        assert_eq!(answer.header("content-range"), format!("bytes */{size}"));
        assert!(
            answer.text().contains(&size.to_string()),
            "{}",
            answer.text()
        );
    }
    for range in ["bytes=0-1,5-6", "rows=0-1"] {
        let answer = ranged(range).await;
        assert_eq!((answer.status, answer.body.len()), (200, size), "{range}");
    }
    // In pieces, as a page fetches it.
    let mut pieces = Vec::new();
    while pieces.len() < size {
        let (from, to) = (pieces.len(), (pieces.len() + 30_000).min(size) - 1);
        pieces.extend(ranged(&format!("bytes={from}-{to}")).await.body);
    }
    assert!(pieces == whole);
}

#[tokio::test]
async fn a_range_of_another_version_is_never_served() {
    let studio = studio(&golden("tied")).await;
    let path = "/api/scorer/files/model.safetensors";
    let whole = studio.request("HEAD", path, "").await;
    let size: usize = whole.header("content-length").parse().unwrap();
    assert_eq!((whole.status, whole.body.len()), (200, 0));
    let etag = whole.header("etag");
    let id = manifest(&studio).await.id;
    assert!(etag.starts_with(&format!("\"{id}")), "{etag}");
    let other = studio
        .request("HEAD", "/api/scorer/files/config.json", "")
        .await;
    assert_ne!(other.header("etag"), etag);

    let get = async |headers: String| studio.request("GET", path, &headers).await;
    let same = get(format!("Range: bytes=1-2\r\nIf-Range: {etag}\r\n")).await;
    assert_eq!((same.status, same.body.len()), (206, 2));
    for version in [
        "\"older\"",
        &format!("W/{etag}"),
        "Wed, 21 Oct 2015 07:28:00 GMT",
    ] {
        let another = get(format!("Range: bytes=1-2\r\nIf-Range: {version}\r\n")).await;
        assert_eq!(
            (another.status, another.body.len()),
            (200, size),
            "{version}"
        );
    }
    let known = get(format!("If-None-Match: \"older\", {etag}\r\n")).await;
    assert_eq!((known.status, known.body.len()), (304, 0));
    let head = studio.request("HEAD", path, "Range: bytes=1-2\r\n").await;
    assert_eq!(head.status, 200);
    assert_eq!(head.header("content-length"), size.to_string());
}

#[tokio::test]
async fn a_file_that_changed_after_the_start_is_not_served() {
    let folder = Folder::copy_of(&golden("tied"), "changed");
    let studio = studio(&folder.0).await;
    let weights = folder.0.join("model.safetensors");
    let mut content = fs::read(&weights).unwrap();
    content.push(0);
    fs::write(&weights, content).unwrap();
    let path = "/api/scorer/files/model.safetensors";
    let answer = studio.request("GET", path, "Range: bytes=0-9\r\n").await;
    assert_eq!(answer.status, 500);
    assert!(answer.text().contains("has changed"), "{}", answer.text());
    fs::remove_file(&weights).unwrap();
    assert_eq!(studio.request("GET", path, "").await.status, 500);
}

/// A hole of 5 GiB behind the weights is neither read at the start nor held in memory.
#[tokio::test]
async fn files_of_gigabytes_are_streamed() {
    let folder = Folder::copy_of(&golden("tied"), "large");
    let weights = folder.0.join("model.safetensors");
    let content = fs::read(&weights).unwrap();
    let header_bytes = u64::from_le_bytes(content[..8].try_into().unwrap()) as usize;
    let mut header: serde_json::Value =
        serde_json::from_slice(&content[8..8 + header_bytes]).unwrap();
    let data = &content[8 + header_bytes..];
    let hole = 5_u64 << 30;
    header["hole"] = serde_json::json!({
        "dtype": "F32", "shape": [hole / 4],
        "data_offsets": [data.len(), data.len() as u64 + hole],
    });
    let header = header.to_string();
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    let size = bytes.len() as u64 + hole;
    fs::write(&weights, &bytes).unwrap();
    fs::File::options()
        .write(true)
        .open(&weights)
        .unwrap()
        .set_len(size)
        .unwrap();

    let studio = studio(&folder.0).await;
    let manifest = manifest(&studio).await;
    assert_eq!(manifest.files.last().unwrap().bytes, size);
    assert_eq!(manifest.largest_tensor_values, hole / 4);
    let path = "/api/scorer/files/model.safetensors";
    let range = format!("Range: bytes={}-{}\r\n", size - 10, size - 1);
    let end = studio.request("GET", path, &range).await;
    assert_eq!((end.status, end.body), (206, vec![0; 10]));
    // A response with the complete file begins at once; a disconnect ends it.
    let mut socket = TcpStream::connect(&studio.address).await.unwrap();
    socket
        .write_all(head("GET", path, "").as_bytes())
        .await
        .unwrap();
    let mut begun = vec![0; 1 << 20];
    socket.read_exact(&mut begun).await.unwrap();
    drop(socket);
    studio.stop().await;
}

#[tokio::test]
async fn a_studio_without_a_scorer_says_how_to_start_one() {
    let studio = TestStudio::start().await;
    for (method, path) in [
        ("GET", "/api/scorer"),
        ("GET", "/api/scorer/files/config.json"),
        ("POST", "/api/scorer/score"),
    ] {
        let answer = studio.request(method, path, "").await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.text().contains("--scorer DIR"), "{}", answer.text());
    }
}

#[test]
fn what_is_no_qwen3_vl_checkpoint_is_refused_with_the_reason() {
    let refusal = |folder: &Path| ScorerFiles::open_dir(folder).unwrap_err().to_string();
    assert!(refusal(Path::new("/nowhere")).contains("/nowhere"));
    let own = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../models/nano/molmoact2");
    let said = refusal(&own);
    assert!(
        said.contains("model_type") && said.contains("molmoact2"),
        "{said}"
    );
    let folder = Folder::copy_of(&golden("tied"), "refused");
    fs::write(folder.0.join("tokenizer.json"), "{}").unwrap();
    assert!(refusal(&folder.0).contains("tokenizer.json"));
    let folder = Folder::copy_of(&golden("tied"), "cut");
    let weights = folder.0.join("model.safetensors");
    let content = fs::read(&weights).unwrap();
    fs::write(&weights, &content[..content.len() / 2]).unwrap();
    assert!(refusal(&folder.0).contains("model.safetensors"));
    fs::remove_file(weights).unwrap();
    assert!(refusal(&folder.0).contains("safetensors"));
}

#[test]
fn the_nano_scorer_is_embedded_if_its_folder_existed() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../models/nano/qwen3vl");
    let nano = ScorerFiles::nano();
    if !folder.join("config.json").exists() {
        let said = nano.unwrap_err().to_string();
        assert!(said.contains("--scorer DIR"), "{said}");
        return;
    }
    let nano = nano.unwrap();
    let manifest = nano.manifest();
    assert!(manifest.is_nano && manifest.note.contains("only the built-in robot"));
    assert!(manifest.bytes() < 15_000_000, "{}", manifest.bytes());
    assert_eq!(
        manifest.id,
        ScorerFiles::open_dir(&folder).unwrap().manifest().id
    );
    nano.load(&layers::device::cpu(), &qwen3vl::LoadOptions::default())
        .unwrap();
}
