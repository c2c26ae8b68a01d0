//! Normalization of instructions, equal to the reference's.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "common/inputs.rs"]
mod inputs;

use inputs::rows;
use molmoact2::instruction::normalize_language;

#[test]
fn awkward_instructions_come_out_as_in_the_reference() {
    let table = rows("instructions.json");
    assert!(table.len() > 500);
    let mut changed = 0;
    for row in table {
        let (text, expected) = (row[0].as_str().unwrap(), row[1].as_str().unwrap());
        assert_eq!(normalize_language(text), expected, "{text:?}");
        changed += usize::from(text != expected);
    }
    assert!(changed > 300);
}
