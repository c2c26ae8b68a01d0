//! Both ways of laying the ids, and what is refused.

use super::*;

const MOLMOACT2: &[u8] = br#"{
    "model_type": "molmoact2", "action_token_start_id": 10, "num_action_tokens": 5,
    "action_start_token_id": 7, "action_end_token_id": 8, "text_config": {"vocab_size": 20}
}"#;

#[test]
fn molmoact2_counts_up_between_start_and_end() {
    let vlm = VlmVocabulary::from_config(MOLMOACT2).unwrap();
    assert_eq!((vlm.first(), vlm.count()), (10, 5));
    assert_eq!((vlm.start(), vlm.end()), (Some(7), Some(8)));
    assert_eq!(vlm.to_vlm(&[0, 4]).unwrap(), [10, 14]);
    assert_eq!(vlm.wrap(&[4, 0]).unwrap(), [7, 14, 10, 8]);
    assert_eq!(vlm.wrap(&[]).unwrap(), [7, 8]);
    assert_eq!(
        vlm.to_vlm(&[0, 5]).unwrap_err(),
        VlmError::NoActionToken {
            position: 1,
            id: 5,
            count: 5
        }
    );
}

#[test]
fn only_bare_and_wrapped_spans_are_read_back() {
    let vlm = VlmVocabulary::from_config(MOLMOACT2).unwrap();
    assert_eq!(vlm.from_vlm(&[12, 10]).unwrap(), [2, 0]);
    assert_eq!(vlm.from_vlm(&[7, 12, 10, 8]).unwrap(), [2, 0]);
    assert!(vlm.from_vlm(&[]).unwrap().is_empty());
    assert!(vlm.from_vlm(&[7, 8]).unwrap().is_empty());
    for (ids, position, id) in [
        (&[12, 9][..], 1, 9),
        (&[12, 8], 1, 8),
        (&[12, 7, 10, 8], 1, 7),
        (&[7, 12, 7, 8], 2, 7),
        (&[7, 12, 8, 8], 2, 8),
        (&[7, 12, 8, 0], 2, 8),
        (&[7, 12, 15, 8], 2, 15),
        (&[7, 12, 0], 2, 0),
    ] {
        assert_eq!(
            vlm.from_vlm(ids).unwrap_err(),
            VlmError::Unexpected { position, id },
            "{ids:?}"
        );
    }
    for ids in [&[7][..], &[7, 12]] {
        assert_eq!(vlm.from_vlm(ids).unwrap_err(), VlmError::NoEnd { end: 8 });
    }
}

#[test]
fn the_end_of_text_may_follow_the_end_token_and_nothing_else() {
    let config = String::from_utf8_lossy(MOLMOACT2).replace("{\n", "{ \"eos_token_id\": 3,\n");
    let vlm = VlmVocabulary::from_config(config.as_bytes()).unwrap();
    assert_eq!(vlm.from_vlm(&[7, 12, 10, 8, 3]).unwrap(), [2, 0]);
    assert_eq!(vlm.from_vlm(&[7, 12, 10, 8]).unwrap(), [2, 0]);
    for (ids, position, id) in [
        (&[12, 10, 3][..], 2, 3),
        (&[12, 8, 3], 1, 8),
        (&[7, 12, 3], 2, 3),
        (&[7, 12, 8, 3, 3], 2, 8),
        (&[7, 12, 8, 4], 2, 8),
        (&[8, 3], 0, 8),
        (&[3], 0, 3),
    ] {
        assert_eq!(
            vlm.from_vlm(ids).unwrap_err(),
            VlmError::Unexpected { position, id },
            "{ids:?}"
        );
    }
    // Several ends, or none, are no reason to refuse the file; then none is taken.
    for value in ["[3, 4]", "null", "-1", "\"</s>\""] {
        let config = config.replace("\"eos_token_id\": 3", &format!("\"eos_token_id\": {value}"));
        let vlm = VlmVocabulary::from_config(config.as_bytes()).unwrap();
        assert!(vlm.from_vlm(&[7, 12, 10, 8, 3]).is_err(), "{value}");
        assert_eq!(vlm.from_vlm(&[7, 12, 10, 8]).unwrap(), [2, 0]);
    }
}

#[test]
fn the_reference_reads_what_stands_between_start_and_end_and_skips_the_rest() {
    let vlm = VlmVocabulary::molmoact2(10, 5, 1, 2).unwrap();
    for (ids, expected) in [
        (&[1, 10, 14, 2, 0][..], &[0, 4][..]),
        (&[11, 1, 12, 2, 13, 0], &[2]),
        (&[1, 10, 3, 15, 11, 2], &[0, 1]),
        (&[2, 1, 12, 0], &[2]),
        (&[10, 2, 11, 0], &[0, 1]),
        (&[1, 2, 10], &[]),
        (&[0], &[]),
        (&[], &[]),
    ] {
        assert_eq!(vlm.from_vlm_as_reference(ids), expected, "{ids:?}");
    }
}

#[test]
fn pi0_fast_counts_down_from_the_end_of_the_text_tokenizer() {
    // LeRobot: vocab_size - 1 - fast_skip_tokens - id, both ways.
    let config =
        br#"{"type": "pi0_fast", "fast_skip_tokens": 2, "text_tokenizer_name": "some/text"}"#;
    let tokenizer = br#"{"added_tokens": [{"id": 6, "content": "x"}],
        "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "c": 2, "d": 3, "e": 4, "f": 5}}}"#;
    let vlm = VlmVocabulary::from_pi0_fast(config, tokenizer).unwrap();
    assert_eq!((vlm.first(), vlm.count()), (3, 4));
    assert_eq!(vlm.to_vlm(&[0, 1, 3]).unwrap(), [3, 2, 0]);
    assert_eq!(vlm.from_vlm(&[3, 2, 0]).unwrap(), [0, 1, 3]);
    assert_eq!(vlm.wrap(&[0]).unwrap_err(), VlmError::NoFrame);
    assert_eq!(
        vlm.from_vlm(&[3, 4]).unwrap_err(),
        VlmError::Unexpected { position: 1, id: 4 }
    );
    let alone = VlmVocabulary::from_config(config).unwrap_err().to_string();
    assert!(alone.contains("some/text"), "{alone}");
    let small = br#"{"model": {"vocab": [["a", 0.0], ["b", 0.0]]}}"#;
    assert!(VlmVocabulary::from_pi0_fast(config, small).is_err());
}

#[test]
fn a_configuration_without_the_figures_is_refused() {
    for (config, part) in [
        ("{", "config.json"),
        ("{}", "action_token_start_id"),
        (r#"{"action_token_start_id": 3}"#, "num_action_tokens"),
        (
            r#"{"type": "molmoact2", "checkpoint_path": "some/where"}"#,
            "some/where",
        ),
        (
            r#"{"action_token_start_id": 3, "num_action_tokens": 0}"#,
            "num_action_tokens",
        ),
        (
            r#"{"action_token_start_id": 4294967295, "num_action_tokens": 2}"#,
            "32 bits",
        ),
        (
            r#"{"action_token_start_id": 3, "num_action_tokens": 2, "action_end_token_id": 4}"#,
            "id 4",
        ),
    ] {
        let error = VlmVocabulary::from_config(config.as_bytes()).unwrap_err();
        assert!(error.to_string().contains(part), "{config}: {error}");
    }
    let missing = VlmVocabulary::from_dir("no/such/folder".as_ref()).unwrap_err();
    assert!(missing.to_string().contains("config.json"), "{missing}");
}
