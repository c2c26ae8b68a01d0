//! Patches and windows of images, equal to those of the reference's processor and model.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "common/inputs.rs"]
mod inputs;

use inputs::{CASES, Inputs};

#[test]
fn patches_and_windows_are_those_of_the_reference() {
    for case in CASES {
        let inputs = Inputs::open(case);
        let batch = inputs.images.prepare(&inputs.frames()).unwrap();
        assert_eq!(
            inputs.shape("patches_requantised"),
            [batch.crops, batch.patches, batch.patch_len],
            "{case}"
        );
        assert_eq!(batch.values, inputs.floats("patches_requantised"), "{case}");
        assert_eq!(batch.pool_indices, inputs.ints("pool_indices"), "{case}");
        assert_eq!(inputs.shape("pool_indices")[1], batch.window, "{case}");
        let (rows, columns) = inputs.images.grid();
        let grids = inputs.ints("image_grids");
        assert_eq!(grids[..2], [rows as i32, columns as i32], "{case}");
    }
}

#[test]
fn an_odd_grid_reaches_over_the_edge() {
    let inputs = Inputs::open("three_cameras_odd_grid");
    let batch = inputs.images.prepare(&inputs.frames()).unwrap();
    assert_eq!(
        batch
            .pool_indices
            .iter()
            .filter(|index| **index == -1)
            .count(),
        3 * 11
    );
    assert!(
        inputs
            .images
            .token_string()
            .contains("<im_patch><im_col><im_patch>")
    );
}
