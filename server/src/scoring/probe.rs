//! What ffprobe says of a video: which of its streams has the pictures, and how fast they follow each other.

use super::{
    MOST_FRAMES, ScoringError,
    child::{self, Patience, Running},
    complaint,
    pace::{self, Pace},
    tools::{self, FFPROBE},
};
use serde_json::Value;
use std::{
    ffi::OsString,
    io::{BufRead as _, Read as _},
    path::Path,
};

/// More than a description of any file's streams.
const MOST_ANSWER: usize = 16 << 20;
/// More than a line about a packet.
const MOST_LINE: u64 = 4096;
/// A grid of time stamps finer than this is that of a clock, not of frames [1/s].
const MOST_RATE: f64 = 120.0;

/// A file as ffmpeg and ffprobe are given it: never an option, a pattern or an address, whatever its name is.
pub(super) fn named(path: &Path) -> OsString {
    let mut name = OsString::from("file:");
    name.push(path);
    name
}

/// A stream of a file, as a decoder is asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stream {
    /// Its number among all streams of the file.
    pub index: usize,
    /// What its pictures are first made of, if they have more than 8 bits: the same pixels with 8, so that colours come about
    /// in the same way as in files of 8 bits. ffmpeg has another way for deep pictures, with other neighbours.
    pub narrowed: Option<&'static str>,
}

/// A stream of pictures.
#[derive(Debug, Clone, PartialEq)]
pub struct Pictures {
    /// Which.
    pub stream: Stream,
    /// How many a second, as the file says it.
    pub fps: Option<f64>,
    /// How many frames there are, as the file says it; of files whose index says it exactly.
    pub frames: Option<usize>,
    /// The steps of its clock that frames are on, if the file says it [1/s].
    grid: Option<f64>,
    /// What is worth a sentence.
    pub notes: Vec<String>,
}

/// How frames of a file are to be counted.
#[derive(Debug, Clone, PartialEq)]
pub struct Rate {
    /// Frames per second.
    pub fps: f64,
    /// Whether frame numbers over `fps` are their times; if not, they are to be taken by their time stamps.
    pub even: bool,
    /// What is worth a sentence.
    pub note: Option<String>,
}

/// Finds the pictures of a file.
///
/// # Errors
/// [`ScoringError`] without ffprobe, for a file that it cannot read, and for one without pictures.
pub fn pictures(path: &Path) -> Result<Pictures, ScoringError> {
    let prepare = |command: &mut std::process::Command| {
        command
            .args(["-v", "error", "-protocol_whitelist", "file"])
            .args(["-show_format", "-show_streams", "-of", "json", "-i"])
            .arg(named(path));
    };
    let program = tools::find(FFPROBE)?;
    let (answer, ended) = child::answer(&program, prepare, Patience::VIDEO, MOST_ANSWER)?;
    if !ended.status.success() {
        return Err(ScoringError::Decoder {
            path: path.to_owned(),
            program: FFPROBE,
            status: ended.status,
            said: complaint::cause(path, &ended.said),
        });
    }
    let answer = String::from_utf8_lossy(&answer);
    let answer: Value =
        field_files::json::parse(answer.as_bytes()).map_err(|error| ScoringError::Program {
            program,
            reason: format!("what it says of {} cannot be used: {error}", path.display()),
        })?;
    choose(path, &answer)
}

/// The coded frames of a stream, as a reader of the file without a decoder finds them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Packets {
    /// How many there are.
    pub count: usize,
    /// Those that only lead up to a cut and are not shown.
    pub hidden: usize,
    /// When the others are shown, where the file says it [s], in its order.
    times: Vec<f64>,
}

impl Packets {
    fn add(&mut self, line: &str) {
        let mut values = line.trim().split(',');
        let Some(time) = values.next().filter(|time| !time.is_empty()) else {
            return;
        };
        self.count += 1;
        if values.next().is_some_and(|flags| flags.contains('D')) {
            self.hidden += 1;
        } else {
            let time = time.trim().parse::<f64>().ok();
            self.times.extend(time.filter(|time| time.is_finite()));
        }
    }
}

impl Pictures {
    /// How frames are to be counted, if the file or the times of its frames say it.
    #[must_use]
    pub fn rate(&self, packets: &Packets) -> Option<Rate> {
        let even = |fps| Rate {
            fps,
            even: true,
            note: None,
        };
        match pace::of(packets.times.clone()) {
            Pace::Unknown => self.fps.map(even),
            Pace::Even { fps } => Some(even(match self.fps {
                // What the file says is exact where it is not wrong: 30000/1001.
                Some(said) if (said / fps - 1.0).abs() < 0.02 => said,
                _ => fps,
            })),
            Pace::Uneven {
                typical,
                shortest,
                longest,
                secs,
            } => {
                let fps = self
                    .grid
                    .filter(|grid| *grid <= MOST_RATE && *grid * secs <= MOST_FRAMES as f64)
                    .unwrap_or(typical.min(MOST_RATE));
                Some(Rate {
                    fps,
                    even: false,
                    note: Some(format!(
                        "its frames do not follow each other evenly ({shortest:.3} to {longest:.3} s apart): they are taken \
                         by their time stamps, {fps:.4} a second; with --fps each counts once"
                    )),
                })
            }
        }
    }
}

/// Lists the coded frames of a stream.
///
/// # Errors
/// [`ScoringError`].
pub fn packets(path: &Path, stream: usize) -> Result<Packets, ScoringError> {
    let program = tools::find(FFPROBE)?;
    let mut running = Running::start(
        &program,
        |command| {
            command
                .args(["-v", "error", "-protocol_whitelist", "file"])
                .args(["-select_streams", &stream.to_string()])
                .args(["-show_entries", "packet=pts_time,flags"])
                .args(["-of", "csv=p=0", "-i"])
                .arg(named(path));
        },
        Patience::VIDEO,
    )?;
    let mut packets = Packets::default();
    loop {
        let mut line = Vec::new();
        let read = (&mut running).take(MOST_LINE).read_until(b'\n', &mut line);
        if let Some(overdue) = running.overdue() {
            return Err(overdue);
        }
        match read {
            Ok(0) => break,
            Ok(_) => packets.add(&String::from_utf8_lossy(&line)),
            Err(error) => {
                return Err(ScoringError::Program {
                    program,
                    reason: error.to_string(),
                });
            }
        }
        if packets.count > MOST_FRAMES {
            return Err(ScoringError::TooManyFrames {
                path: path.to_owned(),
            });
        }
    }
    // How it ended does not matter: what it has not said is not known.
    running.finish()?;
    Ok(packets)
}

fn choose(path: &Path, answer: &Value) -> Result<Pictures, ScoringError> {
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
        grid: rate("r_frame_rate"),
        notes,
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

/// Whether the file's format has an index of all frames, as MP4 and its kin have; others only guess how many there are.
fn is_indexed(answer: &Value) -> bool {
    answer
        .get("format")
        .and_then(|format| text(format, "format_name"))
        .is_some_and(|names| names.split(',').any(|name| name == "mp4"))
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
    #![allow(clippy::unwrap_used)]
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
    fn lines_about_packets_are_read_whatever_follows() {
        let mut packets = Packets::default();
        for line in [
            "0.033333,K__\n",
            "1.5,_,\n",
            "0.5",
            "-0.066,_D_",
            "N/A,K__",
            "",
            "\n",
        ] {
            packets.add(line);
        }
        assert_eq!((packets.count, packets.hidden), (5, 1));
        assert_eq!(packets.times, [0.033_333, 1.5, 0.5]);
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
