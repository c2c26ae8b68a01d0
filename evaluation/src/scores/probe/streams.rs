//! The streams of a file as ffprobe lists them, and the one with the pictures.

use super::{Pictures, Stream};
use crate::scores::ScoringError;
use serde_json::Value;
use std::path::Path;

/// Formats that are bare streams of coded frames. The sequence headers of MPEG-1 and 2 always have a rate, others need not.
const RAW: [&str; 9] = [
    "h264",
    "hevc",
    "vvc",
    "evc",
    "av1",
    "obu",
    "m4v",
    "mjpeg",
    "cavsvideo",
];

/// The stream that players show first.
///
/// # Errors
/// [`ScoringError::NoPictures`].
pub(super) fn choose(path: &Path, answer: &Value) -> Result<Pictures, ScoringError> {
    // Streams of a transport stream may stand in its programs, there alone or there too.
    let programs = list(answer, "programs");
    let mut streams: Vec<&Value> = list(answer, "streams").iter().collect();
    if streams.is_empty() {
        streams = programs
            .iter()
            .flat_map(|one| list(one, "streams"))
            .collect();
    }
    let videos: Vec<(usize, &Value)> = streams
        .iter()
        .enumerate()
        .filter(|(_, stream)| text(stream, "codec_type") == Some("video"))
        .map(|(place, stream)| {
            let index = number(stream, "index").map_or(place, |index| index as usize);
            (index, *stream)
        })
        .collect();
    let moving: Vec<_> = videos
        .iter()
        .filter(|(_, stream)| !is_cover(stream))
        .collect();
    let Some(first) = moving.first() else {
        return Err(ScoringError::NoPictures {
            path: path.to_owned(),
            has: if videos.is_empty() {
                content(&streams)
            } else {
                "only a cover picture".to_owned()
            },
        });
    };
    let (index, stream) = moving
        .iter()
        .find(|(_, stream)| disposition(stream, "default"))
        .unwrap_or(first);
    let mut notes = notes(stream);
    if moving.len() > 1 {
        notes.insert(
            0,
            format!(
                "it has {} streams of pictures; stream {index} is read, the one that players show first",
                moving.len()
            ),
        );
    }
    let rate = |key| text(stream, key).and_then(ratio);
    let file_starts = answer.get("format").and_then(start_secs);
    let late = start_secs(stream)
        .zip(file_starts)
        .map_or(0.0, |(pictures, file)| pictures - file);
    Ok(Pictures {
        stream: Stream {
            index: *index,
            narrowed: text(stream, "pix_fmt").and_then(narrowed),
        },
        fps: rate("avg_frame_rate").or_else(|| rate("r_frame_rate")),
        frames: is_indexed(answer)
            .then(|| number(stream, "nb_frames"))
            .flatten()
            .and_then(|frames| usize::try_from(frames).ok()),
        late_secs: late.max(0.0),
        notes,
        raw: format_names(answer).any(|name| RAW.contains(&name)),
        file_starts_secs: file_starts.unwrap_or_default(),
        grid: rate("r_frame_rate"),
    })
}

/// The pixel format of 8 bits beside one of more: `yuv420p` of `yuv420p10le`.
fn narrowed(format: &str) -> Option<&'static str> {
    if let "p010le" | "p010be" | "p012le" | "p016le" | "p016be" = format {
        return Some("yuv420p");
    }
    ["yuv420p", "yuv422p", "yuv444p"]
        .into_iter()
        .find(|narrow| {
            format
                .strip_prefix(narrow)
                .is_some_and(|depth| depth.starts_with(|digit: char| digit.is_ascii_digit()))
        })
}

/// Says how pictures are taken that could be taken in more ways than one.
fn notes(stream: &Value) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(shape) = text(stream, "sample_aspect_ratio")
        && let Some((wide, high)) = shape.split_once(':')
        && wide != high
        && wide != "0"
    {
        notes.push(format!(
            "its pixels are not square ({shape}); pictures are taken as they are stored, as the reference takes them"
        ));
    }
    if let Some("tt" | "bb" | "tb" | "bt") = text(stream, "field_order") {
        notes.push(
            "it is interlaced; both fields of a frame are taken as one picture, as the reference takes them"
                .to_owned(),
        );
    }
    let transfer = text(stream, "color_transfer").unwrap_or_default();
    if let "smpte2084" | "arib-std-b67" = transfer {
        notes.push(format!(
            "it is HDR ({transfer}); its brightness is taken as it is stored, without tone mapping"
        ));
    }
    let pixels = text(stream, "pix_fmt").unwrap_or_default();
    if let Some(depth) = pixels.strip_prefix("gray")
        && depth.starts_with(|digit: char| digit.is_ascii_digit())
    {
        notes.push(format!(
            "it is of one channel of more than 8 bits ({pixels}), as depth cameras write: the scorer takes distance for \
             brightness"
        ));
    }
    notes
}

/// True if the file's format has an index of all frames, as MP4 and its kin have; others only guess how many there are.
fn is_indexed(answer: &Value) -> bool {
    format_names(answer).any(|name| name == "mp4")
}

/// What the format of the file is called.
fn format_names(answer: &Value) -> impl Iterator<Item = &str> {
    answer
        .get("format")
        .and_then(|format| text(format, "format_name"))
        .unwrap_or_default()
        .split(',')
}

fn is_cover(stream: &Value) -> bool {
    disposition(stream, "attached_pic") || disposition(stream, "timed_thumbnails")
}

fn disposition(stream: &Value, what: &str) -> bool {
    stream
        .get("disposition")
        .and_then(|all| number(all, what))
        .is_some_and(|flag| flag != 0)
}

/// `audio (aac)`.
fn content(streams: &[&Value]) -> String {
    let words: Vec<String> = streams
        .iter()
        .take(8)
        .map(|stream| {
            let word = |key| text(stream, key).unwrap_or("something unknown");
            format!("{} ({})", word("codec_type"), word("codec_name"))
        })
        .collect();
    if words.is_empty() {
        "nothing at all".to_owned()
    } else {
        words.join(", ")
    }
}

/// When a file or a stream begins, by its clock (s).
fn start_secs(of: &Value) -> Option<f64> {
    text(of, "start_time")?
        .trim()
        .parse::<f64>()
        .ok()
        .filter(|secs| secs.is_finite())
}

fn list<'a>(of: &'a Value, key: &str) -> &'a [Value] {
    of.get(key)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

fn text<'a>(of: &'a Value, key: &str) -> Option<&'a str> {
    of.get(key).and_then(Value::as_str)
}

/// A number, or a text that is one.
fn number(of: &Value, key: &str) -> Option<u64> {
    let value = of.get(key)?;
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// `30000/1001`, or `30`, and what some versions put after it.
fn ratio(text: &str) -> Option<f64> {
    let text = text.trim().trim_end_matches(',');
    let (above, below) = text.split_once('/').unwrap_or((text, "1"));
    let rate = above.trim().parse::<f64>().ok()? / below.trim().parse::<f64>().ok()?;
    (rate.is_finite() && rate > 0.0).then_some(rate)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use serde_json::json;

    #[test]
    fn rates_are_ratios() {
        assert_eq!(ratio("30/1"), Some(30.0));
        assert_eq!(ratio("30/1,"), Some(30.0));
        assert_eq!(ratio("25"), Some(25.0));
        assert!((ratio("30000/1001").unwrap() - 29.97).abs() < 1e-3);
        assert_eq!(ratio("0/0"), None);
        assert_eq!(ratio("N/A"), None);
    }

    #[test]
    fn deep_pictures_have_a_narrow_form() {
        assert_eq!(narrowed("yuv420p10le"), Some("yuv420p"));
        assert_eq!(narrowed("yuv444p12be"), Some("yuv444p"));
        assert_eq!(narrowed("p010le"), Some("yuv420p"));
        for format in ["yuv420p", "yuvj420p", "gray12le", "gbrp10le", "rgb24"] {
            assert_eq!(narrowed(format), None, "{format}");
        }
    }

    #[test]
    fn pictures_that_begin_after_the_sound_are_late() {
        let of = |format: Value, start: Value| {
            let stream = json!({"index": 1, "codec_type": "video", "start_time": start});
            choose(
                Path::new("a.mp4"),
                &json!({"streams": [stream], "format": format}),
            )
            .unwrap()
        };
        let file = |start: &str| json!({"format_name": "matroska,webm", "start_time": start});
        let found = of(file("-0.021000"), json!("0.500000"));
        assert!((found.late_secs - 0.521).abs() < 1e-9 && !found.raw);
        assert!((found.file_starts_secs + 0.021).abs() < 1e-9);
        // A transport stream begins anywhere.
        assert_eq!(of(file("1.4"), json!("1.4")).late_secs, 0.0);
        assert_eq!(of(file("N/A"), json!("1.4")).late_secs, 0.0);
        assert_eq!(of(json!({}), json!(null)).late_secs, 0.0);
        assert!(of(json!({"format_name": "h264"}), json!(null)).raw);
    }

    #[test]
    fn covers_are_passed_over_and_the_default_is_taken() {
        let path = Path::new("a.mkv");
        let stream = |index: u64, attached: u64, default: u64| {
            json!({"index": index, "codec_type": "video", "avg_frame_rate": "30/1",
                "disposition": {"attached_pic": attached, "default": default}})
        };
        let audio = json!({"index": 0, "codec_type": "audio", "codec_name": "aac"});
        let of = |streams: Vec<Value>| choose(path, &json!({ "streams": streams }));
        let found = of(vec![audio.clone(), stream(1, 1, 1), stream(2, 0, 0)]).unwrap();
        assert_eq!((found.stream.index, found.fps), (2, Some(30.0)));
        let found = of(vec![stream(0, 0, 0), stream(1, 0, 1)]).unwrap();
        assert_eq!(found.stream.index, 1);
        assert!(found.notes[0].contains("2 streams"), "{:?}", found.notes);
        let error = of(vec![audio]).unwrap_err().to_string();
        assert!(error.contains("audio (aac)"), "{error}");
        let error = of(vec![stream(0, 1, 1)]).unwrap_err().to_string();
        assert!(error.contains("cover"), "{error}");
        // A transport stream of a version that tells of its programs alone.
        let programs = json!({"programs": [{"streams": [stream(3, 0, 0)]}]});
        assert_eq!(choose(path, &programs).unwrap().stream.index, 3);
        assert!(choose(path, &json!({})).is_err());
    }
}
