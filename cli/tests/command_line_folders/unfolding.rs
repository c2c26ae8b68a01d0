//! Small files that expand, and large ones: loading takes at most the announced memory plus 256 MiB.

use super::{Folder, act, json, pictures, refused, root, studio};
use std::{
    io::Read as _,
    path::Path,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

/// Memory that loading may take in addition to what `inspect` announces.
const BESIDE: u64 = 256 << 20;

/// Runs the binary and samples its memory until it ends.
fn watched(arguments: &[&str]) -> (Output, u64, Duration) {
    let began = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_policy-studio"))
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut most = 0;
    let ended = loop {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let peak = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = peak.and_then(|peak| peak.trim().trim_end_matches(" kB").parse::<u64>().ok());
        most = most.max(kib.unwrap_or(0) << 10);
        if let Some(ended) = child.try_wait().unwrap() {
            break ended;
        }
        assert!(
            began.elapsed() < Duration::from_secs(120),
            "{arguments:?} does not end"
        );
        std::thread::sleep(Duration::from_millis(2));
    };
    let mut output = Output {
        status: ended,
        stdout: Vec::new(),
        stderr: Vec::new(),
    };
    child
        .stdout
        .take()
        .unwrap()
        .read_to_end(&mut output.stdout)
        .unwrap();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_end(&mut output.stderr)
        .unwrap();
    (output, most, began.elapsed())
}

fn announced(policy: &Path) -> u64 {
    let found = json(&studio(&["inspect", "--json", policy.to_str().unwrap()]));
    found["memory"][0]["peak_on_cpu"].as_u64().unwrap()
}

/// Loads the policy by requesting a chunk.
fn load(policy: &Path, image: &Path) -> (Output, u64, Duration) {
    let image = image.to_str().unwrap();
    watched(&[
        "act",
        "--device",
        "cpu",
        "--json",
        "--task",
        "push the red cube",
        "--state",
        "0 -40 60 50 0 30",
        "--image",
        image,
        "--image",
        image,
        "--policy",
        policy.to_str().unwrap(),
    ])
}

#[test]
fn a_hostile_chat_template_is_refused_while_loading() {
    let frames = pictures();
    let nano = root().join("models/nano/molmoact2");
    let bound = announced(&nano) + BESIDE;
    for template in [
        "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
        "{{ 'a' * 10 ** 9 }}",
        "{% set ns = namespace(x='aaaaaaaa') %}{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}{{ ns.x }}",
        "{% set ns = namespace(x=[0]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}",
    ] {
        let folder = Folder::nano("molmoact2");
        folder.write("chat_template.jinja", template);
        let (output, most, took) = load(&folder.0, &frames.path("00.png"));
        let said = refused(&output);
        assert!(
            said.contains("chat_template.jinja") && said.contains("too much"),
            "{said}"
        );
        assert!(most < bound, "{template}: {most}");
        assert!(took < Duration::from_secs(60), "{template}: {took:?}");
    }
    // A broken template does not prevent actions.
    let folder = Folder::nano("molmoact2");
    folder.write("chat_template.jinja", "{% if %}");
    assert!(act(&folder.0, &frames, &[]).status.success());
    // A template that is too long is not read.
    folder.write("chat_template.jinja", "x".repeat(1 << 20));
    assert!(act(&folder.0, &frames, &[]).status.success());
    let found = json(&studio(&["inspect", "--json", folder.0.to_str().unwrap()]));
    let why = found["no_answers"].as_str().unwrap();
    assert!(
        why.contains("chat_template.jinja") && why.contains("at most"),
        "{why}"
    );
}

#[test]
fn no_file_of_a_checkpoint_takes_more_memory_than_announced_and_256_mib() {
    let frames = pictures();
    let image = frames.path("00.png");
    let nano = root().join("models/nano/molmoact2");
    let bound = announced(&nano) + BESIDE;
    let (output, most, _) = load(&nano, &image);
    assert!(output.status.success() && most < bound, "{most} of {bound}");

    let vocabulary: String = (0..2_000_000).map(|id| format!("\"{id}\":{id},")).collect();
    let tokenizer = |edit: &dyn Fn(&mut serde_json::Value)| {
        let bytes = std::fs::read(nano.join("tokenizer.json")).unwrap();
        let mut file = serde_json::from_slice(&bytes).unwrap();
        edit(&mut file);
        serde_json::to_vec(&file).unwrap()
    };
    let cases: [(&str, Vec<u8>); 12] = [
        (
            "config.json",
            format!("{{\"a\":[{}0]}}", "{},".repeat(3_000_000)).into_bytes(),
        ),
        (
            "config.json",
            format!("{{\"a\":[{}0]}}", "0,".repeat(7_000_000)).into_bytes(),
        ),
        ("config.json", vec![b' '; 300 << 20]),
        (
            "config.json",
            [b"{\"a\":".repeat(2_000_000), b"}".repeat(2_000_000)].concat(),
        ),
        (
            "norm_stats.json",
            format!(
                "{{\"metadata_by_tag\":{{{}\"a\":0}}}}",
                "\"a\":{},".repeat(1_000_000)
            )
            .into_bytes(),
        ),
        (
            "tokenizer.json",
            format!(
                "{{\"model\":{{\"type\":\"BPE\",\"vocab\":{{{vocabulary}\"x\":0}},\"merges\":[]}}}}"
            )
            .into_bytes(),
        ),
        ("tokenizer.json", vec![b' '; 300 << 20]),
        (
            "tokenizer.json",
            tokenizer(&|file| {
                let tokens = file["added_tokens"].as_array_mut().unwrap();
                let mut token = tokens[0].clone();
                for number in 0..60_000 {
                    token["content"] = format!("{number:0400}").into();
                    tokens.push(token.clone());
                }
            }),
        ),
        (
            "tokenizer.json",
            tokenizer(&|file| {
                let doubled = serde_json::json!({
                    "type": "Replace", "pattern": {"String": "e"}, "content": "ee",
                });
                file["normalizer"] =
                    serde_json::json!({"type": "Sequence", "normalizers": vec![doubled; 30]});
            }),
        ),
        (
            "tokenizer.json",
            tokenizer(&|file| {
                file["normalizer"] = serde_json::json!({
                    "type": "Precompiled", "precompiled_charsmap": "AAAA".repeat(5_000_000),
                });
            }),
        ),
        (
            "tokenizer.json",
            tokenizer(&|file| {
                let pattern = "(?!\\w{99})".repeat(2_000);
                file["pre_tokenizer"] = serde_json::json!({
                    "type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated",
                    "invert": false,
                });
            }),
        ),
        ("model.safetensors", {
            let header = format!(
                "{{\"a\":{{\"dtype\":\"F32\",\"shape\":[{}1],\"data_offsets\":[0,4]}}}}",
                "1,".repeat(40_000_000)
            );
            let mut file = (header.len() as u64).to_le_bytes().to_vec();
            file.extend(header.as_bytes());
            file.extend([0; 4]);
            file
        }),
    ];
    // What is not needed takes no more memory either.
    let folder = Folder::nano("molmoact2");
    folder.write("model.safetensors.index.json", vec![b'['; 200 << 20]);
    let (output, most, _) = load(&folder.0, &image);
    assert!(output.status.success() && most < bound, "{most} of {bound}");
    drop(folder);
    for (name, bytes) in cases {
        let folder = Folder::nano("molmoact2");
        folder.write(name, &bytes);
        let size = bytes.len();
        drop(bytes);
        for (output, most, _) in [
            load(&folder.0, &image),
            watched(&["inspect", folder.0.to_str().unwrap()]),
        ] {
            let said = refused(&output);
            println!("{name} of {size} bytes: {} MiB", most >> 20);
            assert!(said.contains(name), "{said}");
            assert!(most < bound, "{name} of {size} bytes: {most}");
        }
    }
}

#[test]
fn an_image_of_half_a_gigabyte_of_pixels_is_refused_by_its_size() {
    let folder = Folder::new("huge");
    let path = folder.path("huge.png");
    // Grey: a quarter of a megabyte as a file, half a gigabyte in colour.
    image::GrayImage::from_pixel(12_000, 12_000, image::Luma([9]))
        .save(&path)
        .unwrap();
    let nano = root().join("models/nano/molmoact2");
    let (output, most, _) = load(&nano, &path);
    let said = refused(&output);
    assert!(
        said.contains("huge.png") && said.contains("12000x12000"),
        "{said}"
    );
    assert!(most < BESIDE, "{most}");
    // The largest accepted image, twice.
    let large = folder.path("large.png");
    image::RgbImage::from_pixel(5_000, 4_000, image::Rgb([9, 9, 9]))
        .save(&large)
        .unwrap();
    let (output, most, _) = load(&nano, &large);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    println!("two pictures of 20 megapixels: {} MiB", most >> 20);
    assert!(most < announced(&nano) + BESIDE, "{most}");
}
