//! Frame rates from the times of the rows.

use crate::{
    scoring::{curves, score},
    set::{DATA, LENGTHS, Set, rows, with},
    stderr,
    table::Column,
};

/// A data set whose frames have these times (s).
fn timed(time: impl Fn(usize) -> f64) -> Set {
    let set = Set::v3();
    let times = LENGTHS.iter().flat_map(|&length| 0..length);
    let times = Column::F64(times.map(|frame| Some(time(frame))).collect());
    set.rows(DATA, &with(rows(&[0, 1, 2]), "timestamp", times));
    set
}

fn rate(out: &Set) -> f64 {
    let text = std::fs::read_to_string(out.at("episodes/episode_000000.json")).unwrap();
    let score: serde_json::Value = serde_json::from_str(&text).unwrap();
    score["fps"].as_f64().unwrap()
}

#[test]
fn the_frame_rate_is_that_of_the_rows() {
    // The announced rate, with an offset and an error below a millisecond.
    let (set, out) = (
        timed(|frame| 3.0 + frame as f64 / 5.0 + 0.000_4),
        Set::empty(),
    );
    let output = score(&set, &out.0, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(stderr(&output), "");
    assert!((rate(&out) - 5.0).abs() < 1e-9);
    // A rate that differs from that of the data set.
    let (set, out) = (timed(|frame| frame as f64 / 2.0), Set::empty());
    let output = score(&set, &out.0, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let expected = "episode 0: its rows have 2.000 frames a second by their times (timestamp), the data set says 5; that of the \
                rows is taken";
    assert!(stderr(&output).contains(expected), "{}", stderr(&output));
    assert!((rate(&out) - 2.0).abs() < 1e-9);
    assert_eq!(curves(&out.0).len(), 3);
    // A pause: images in rows are used, and their times are reported as uneven.
    let paused = timed(|frame| frame as f64 / 5.0 + if frame > 5 { 2.0 } else { 0.0 });
    let output = score(&paused, &Set::empty().at("scores"), &[]);
    assert!(
        stderr(&output).contains("they are uneven"),
        "{}",
        stderr(&output)
    );
}
