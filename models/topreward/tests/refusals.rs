//! Requests that cannot be scored are refused with the reason, and nothing panics.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use proptest::prelude::*;
use topreward::{
    Clip, ControlInstruction, ControlKind, Curve, Error, Prefixes, Profile, Prompt, Record, Score,
    ScoreConfig, Template, gvl, min_max, roc_auc, spearman,
};

#[test]
fn clips_and_prefixes() {
    assert_eq!(Clip::new(0, 2.0), Err(Error::NoFrames));
    for fps in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(matches!(Clip::new(3, fps), Err(Error::BadFps { .. })));
    }
    let clip = Clip::new(3, 2.0).unwrap();
    for length in [0, 4] {
        let want = Error::BadPrefix { length, total: 3 };
        assert_eq!(Profile::Aligned.frames(&clip, length), Err(want.clone()));
        let asked = Prefixes::Lengths(vec![1, length]);
        assert_eq!(asked.lengths(&clip, Profile::Aligned), Err(want));
    }
    assert_eq!(
        Prefixes::Lengths(vec![]).lengths(&clip, Profile::Aligned),
        Err(Error::NoPrefixes)
    );
    assert_eq!(
        Prefixes::Lengths(vec![3, 1, 3]).lengths(&clip, Profile::Aligned),
        Ok(vec![1, 3])
    );
}

#[test]
fn choices_are_written_as_they_are_read() {
    for text in ["15", "all", "blocks", "1,5,9", "7,"] {
        let prefixes: Prefixes = text.parse().unwrap();
        assert_eq!(prefixes.to_string(), text);
    }
    for text in ["", "-1", "1;2", "many"] {
        assert!(matches!(
            text.parse::<Prefixes>(),
            Err(Error::Unknown { .. })
        ));
    }
    for profile in Profile::ALL {
        assert_eq!(profile.name().parse(), Ok(profile));
    }
    assert!("Aligned".parse::<Profile>().is_err());
}

#[test]
fn every_block_boundary_shows_whole_blocks() {
    let clip = Clip::new(984, 30.0).unwrap();
    let lengths = Prefixes::Blocks.lengths(&clip, Profile::Aligned).unwrap();
    // The last block ends with frame 975; the whole clip shows no more.
    assert_eq!(lengths.len(), 34);
    for length in lengths {
        let shown = Profile::Aligned.frames(&clip, length).unwrap();
        assert_eq!(shown.indices.len() % 2, 0, "{length}");
    }
}

#[test]
fn numbers_that_are_none() {
    assert!(matches!(
        min_max(&[0.0, f64::NAN]),
        Err(Error::NotFinite { index: 1, .. })
    ));
    assert!(matches!(spearman(&[0.0], &[]), Err(Error::Lengths { .. })));
    assert_eq!(
        roc_auc(&[1.0, 2.0], &[true, true]),
        Err(Error::OneClass {
            successes: 2,
            failures: 0
        })
    );
    assert_eq!(Curve::new(vec![], vec![]), Err(Error::NoPrefixes));
}

#[test]
fn a_score_carries_its_controls_into_json() {
    let clip = Clip::new(10, 5.0).unwrap();
    let prompt = Prompt::new("open the drawer").unwrap();
    let lengths = Prefixes::Spread(3)
        .lengths(&clip, Profile::Aligned)
        .unwrap();
    let config = ScoreConfig::new(Profile::Aligned, &prompt, &clip, &lengths).unwrap();
    let curve = |values: [f64; 3]| Curve::new(values.to_vec(), vec![-9.0; 3]).unwrap();
    let negation = ControlInstruction {
        kind: ControlKind::Negation,
        instruction: topreward::negation("open the drawer"),
    };
    let score = Score::new(
        config,
        curve([-9.0, -6.0, -3.0]),
        curve([-9.0, -8.0, -8.5]),
        vec![(negation, curve([-10.0, -11.0, -12.0]))],
    );
    assert_eq!(score.above_static(), [0.0, 2.0, 5.5]);
    let json = serde_json::to_value(&score).unwrap();
    assert_eq!(json["profile"], "aligned");
    assert_eq!(json["prefix_lengths"], serde_json::json!([1, 5, 10]));
    assert_eq!(json["shown_frames"], serde_json::json!([1, 2, 4]));
    assert_eq!(json["voc"], 1.0);
    assert_eq!(json["static_voc"], 0.5);
    assert_eq!(json["controls"][0]["kind"], "negation");
    assert_eq!(json["controls"][0]["gap"], 5.0);
    assert_eq!(json["template"], "without");
    assert_eq!(Template::default(), Template::Without);
    assert_eq!(serde_json::from_value::<Score>(json).unwrap(), score);
    let record = Record::new(0, "drawers", 4, &score);
    assert_eq!(
        record.original_frames_task_completion_rates,
        Some(vec![0, 44, 100])
    );
    assert_eq!(record.reward, -3.0);
}

proptest! {
    #[test]
    fn prefixes_of_any_clip_are_prefixes(
        frames in 1_usize..3000, fps in 0.1_f64..240.0, count in 0_usize..200, at in 0.0_f64..1.0,
    ) {
        let clip = Clip::new(frames, fps).unwrap();
        for profile in Profile::ALL {
            let lengths = Prefixes::Spread(count).lengths(&clip, profile).unwrap();
            prop_assert!(lengths.is_sorted_by(|a, b| a < b));
            prop_assert!(!lengths.is_empty());
            let length = lengths[(at * lengths.len() as f64) as usize];
            let shown = profile.frames(&clip, length).unwrap();
            prop_assert!(!shown.indices.is_empty());
            prop_assert!(shown.indices.iter().all(|index| *index < length));
            prop_assert!(shown.indices.is_sorted());
            prop_assert_eq!(shown.blocks().len(), shown.indices.len().div_ceil(2));
            for index in &shown.indices {
                prop_assert!(profile.may_show(*index, fps) || *index == frames - 1, "{index}");
            }
            if profile.prefix_stable() {
                let whole = profile.frames(&clip, frames).unwrap();
                prop_assert!(whole.indices.starts_with(&shown.indices));
            }
        }
    }

    #[test]
    fn answers_of_any_kind_are_read(answer in "[0-9 .%\\-a]{0,60}") {
        if let Ok(values) = gvl::percentages(&answer) {
            prop_assert!(values.iter().all(|value| (0.0..=100.0).contains(value) && value.fract() == 0.0));
        }
    }

    #[test]
    fn progress_keeps_order(values in prop::collection::vec(-40.0_f64..0.0, 1..80)) {
        let progress = min_max(&values).unwrap();
        prop_assert!(progress.iter().all(|value| (0.0..=1.0).contains(value)));
        let flat = values.iter().all(|value| *value == values[0]);
        if !flat {
            for (left, right) in values.iter().zip(&progress) {
                for (other, beside) in values.iter().zip(&progress) {
                    prop_assert!(left > other || right <= beside);
                }
            }
        }
    }
}
