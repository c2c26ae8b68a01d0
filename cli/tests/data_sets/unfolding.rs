//! Decompression bombs: decoded sizes are checked before memory is allocated.

use crate::{
    set::{DATA, EPISODES, Set, episodes, rows, with},
    stderr, studio,
    table::{self, Column, Columns},
};
use parquet::{
    basic::{BrotliLevel, Compression, GzipLevel, ZstdLevel},
    file::{
        properties::{WriterProperties, WriterPropertiesBuilder},
        reader::{FileReader as _, SerializedFileReader},
    },
};
use std::{
    fs::{self, File},
    process::{Command, Output, Stdio},
    time::Duration,
};

/// Limit of the memory for reading a small data set (MiB).
const MOST_MIB: u64 = 256;

/// Output of a program, and its peak memory (MiB).
fn run_with_peak_memory(command: &mut Command) -> (Output, u64) {
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let status = format!("/proc/{}/status", child.id());
    let watch = std::thread::spawn(move || {
        let mut most = 0;
        while let Ok(text) = fs::read_to_string(&status) {
            let line = text.lines().find(|line| line.starts_with("VmHWM:"));
            let Some(kib) =
                line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok())
            else {
                break;
            };
            most = most.max(kib / 1024);
            std::thread::sleep(Duration::from_millis(2));
        }
        most
    });
    let output = child.wait_with_output().unwrap();
    (output, watch.join().unwrap())
}

fn train(set: &Set) -> (Output, u64) {
    let out = Set::empty();
    run_with_peak_memory(
        studio()
            .args([
                "fast",
                "train",
                "--horizon",
                "6",
                "--hold-out",
                "0",
                "--dataset",
            ])
            .arg(&set.0)
            .arg("--out")
            .arg(out.at("tokenizer")),
    )
}

fn refused(set: &Set, expected: &str) {
    let (output, mib) = train(set);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains(expected), "{}", stderr(&output));
    assert!(mib < MOST_MIB, "{mib} MiB: {}", stderr(&output));
}

fn zstd() -> WriterPropertiesBuilder {
    WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default()))
}

/// All values of a column in one page.
fn in_one_page(properties: WriterPropertiesBuilder) -> WriterProperties {
    properties
        .set_dictionary_enabled(false)
        .set_data_page_size_limit(1 << 30)
        .set_data_page_row_count_limit(1 << 30)
        .set_write_batch_size(1 << 30)
        .build()
}

fn many(actions: Vec<Option<Vec<f32>>>) -> Columns {
    let count = actions.len() as i64;
    vec![
        ("action".to_owned(), Column::Vectors(actions)),
        (
            "frame_index".to_owned(),
            Column::whole((0..count).map(|_| 0)),
        ),
        (
            "episode_index".to_owned(),
            Column::whole((0..count).map(|_| 0)),
        ),
    ]
}

#[test]
fn highly_compressed_values_are_not_decoded() {
    let set = Set::v3();
    // One row of very many values, and very many rows.
    for actions in [
        vec![Some(vec![0.5; 12 << 20])],
        vec![Some(vec![0.5; 8]); 2 << 20],
    ] {
        table::write_as(&set.at(DATA), &many(actions), zstd().build());
        assert!(fs::metadata(set.at(DATA)).unwrap().len() < 3 << 20);
        let (output, mib) = train(&set);
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        assert!(
            stderr(&output).contains("so it is not read"),
            "{}",
            stderr(&output)
        );
        assert!(mib < MOST_MIB, "{mib} MiB: {}", stderr(&output));
    }
}

#[test]
fn memory_is_counted_over_all_columns() {
    let set = Set::v3();
    let count = 500_000;
    let mut columns = many(vec![Some(vec![0.5; 12]); count]);
    // An unused column makes the file large enough for each column alone.
    let mut noise = 1_u64;
    let mut files = vec![Vec::new(); count];
    files[0] = (0..1_400_000)
        .map(|_| {
            noise = noise
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (noise >> 56) as u8
        })
        .collect();
    columns.push(("noise".to_owned(), Column::Files(files)));
    table::write_times(&set.at(DATA), &columns, zstd().build(), 12);
    assert!(fs::metadata(set.at(DATA)).unwrap().len() > 16 << 20);
    refused(
        &set,
        "more than its size accounts for; a file of a recording",
    );
}

#[test]
fn values_are_counted_over_all_row_groups() {
    let set = Set::v3();
    let columns = many(vec![Some(vec![0.5; 2]); 400_000]);
    table::write_times(&set.at(DATA), &columns, zstd().build(), 12);
    refused(&set, "so it is not read");
}

#[test]
fn oversized_pages_are_refused_before_decompression() {
    let set = Set::v3();
    for compression in [Compression::ZSTD(ZstdLevel::default()), Compression::SNAPPY] {
        let properties = in_one_page(WriterProperties::builder().set_compression(compression));
        table::write_as(
            &set.at(DATA),
            &many(vec![Some(vec![0.5; 16 << 20])]),
            properties,
        );
        refused(&set, "that decompresses to 6");
    }
    // Pages that announce 24 bytes and decompress to 64 MiB, with codecs whose decoders ignore the announced size.
    for compression in [
        Compression::GZIP(GzipLevel::default()),
        Compression::BROTLI(BrotliLevel::default()),
    ] {
        let properties = in_one_page(WriterProperties::builder().set_compression(compression));
        table::write_as(
            &set.at(DATA),
            &many(vec![Some(vec![0.5; 16 << 20])]),
            properties,
        );
        let mut bytes = fs::read(set.at(DATA)).unwrap();
        let reader = SerializedFileReader::new(File::open(set.at(DATA)).unwrap()).unwrap();
        let header = reader.metadata().row_group(0).column(0).data_page_offset() as usize;
        // Field 1, field 2; a length of four bytes, as the real one.
        assert_eq!((bytes[header], bytes[header + 2]), (0x15, 0x15));
        bytes[header + 3..header + 7].copy_from_slice(&[0xB0, 0x80, 0x80, 0x00]);
        fs::write(set.at(DATA), bytes).unwrap();
        refused(&set, "decompresses to more than the 24 bytes it announces");
    }
}

#[test]
fn an_endlessly_nested_schema_is_refused() {
    let set = Set::v3();
    let depth = 200_000_u32;
    // {1: 1, 2: [{4: "a", 5: 1}, ...]}
    let mut footer = vec![0x15, 2, 0x19, 0xFC];
    footer.extend([
        (depth & 0x7F) as u8 | 0x80,
        (depth >> 7 & 0x7F) as u8 | 0x80,
        (depth >> 14) as u8,
    ]);
    for _ in 0..depth {
        footer.extend([0x35, 0, 0x18, 1, b'a', 0x15, 2, 0]);
    }
    footer.extend([0x16, 0, 0x19, 0x0C, 0]);
    let length = (footer.len() as u32).to_le_bytes();
    set.write(DATA, [b"PAR1", &footer[..], &length, b"PAR1"].concat());
    refused(&set, "its footer (the parquet metadata) is damaged");
}

#[test]
fn highly_compressed_lists_of_episodes_are_not_decoded() {
    let scorer = format!(
        "{}/../tests/goldens/qwen3vl/tied/checkpoint",
        env!("CARGO_MANIFEST_DIR")
    );
    let score = |set: &Set| {
        run_with_peak_memory(
            studio()
                .args([
                    "score",
                    "--device",
                    "cpu",
                    "--scorer",
                    &scorer,
                    "--episodes",
                    "7",
                    "--dataset",
                ])
                .arg(&set.0),
        )
    };
    let set = Set::v3();
    let count = 2 << 20;
    let same = |value: i64| Column::whole((0..count).map(|_| value));
    let columns = vec![
        ("episode_index".to_owned(), same(1)),
        ("length".to_owned(), same(12)),
    ];
    table::write_as(&set.at(EPISODES), &columns, zstd().build());
    fs::remove_dir_all(set.at("data")).unwrap();
    let (output, mib) = score(&set);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("so it is not read"),
        "{}",
        stderr(&output)
    );
    assert!(mib < MOST_MIB, "{mib} MiB");
    // One string of 64 KiB, referenced by two thousand rows.
    let set = Set::v3();
    let long = "open the drawer ".repeat(1 << 12);
    let count = 2000;
    let columns = with(episodes(), "tasks", Column::Texts(vec![Some(long); count]));
    let columns = with(columns, "episode_index", Column::whole(0..count as i64));
    let columns = with(columns, "length", Column::whole((0..count).map(|_| 12)));
    let columns: Columns = columns
        .into_iter()
        .filter(|(name, _)| ["tasks", "episode_index", "length"].contains(&name.as_str()))
        .collect();
    table::write_as(&set.at(EPISODES), &columns, zstd().build());
    set.rows(DATA, &rows(&[0]));
    let (output, mib) = score(&set);
    assert!(mib < MOST_MIB, "{mib} MiB: {}", stderr(&output));
}

#[test]
fn endlessly_nested_or_oversized_json_is_refused() {
    let set = Set::v3();
    set.write("meta/info.json", "[".repeat(1 << 20));
    refused(&set, "1000 levels");
    for (times, expected) in [
        (3 << 20, "values or"),
        (9 << 20, "at most 16777216 are read"),
    ] {
        set.write(
            "meta/info.json",
            format!("{{\"features\": [{}0]}}", "0,".repeat(times)),
        );
        refused(&set, expected);
    }
    let set = Set::v3();
    set.write(
        "meta/stats.json",
        format!("{{\"action\": {}", "{\"a\":".repeat(1 << 19)),
    );
    let (output, mib) = train(&set);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("stats.json"),
        "{}",
        stderr(&output)
    );
    assert!(mib < MOST_MIB, "{mib} MiB");
}
