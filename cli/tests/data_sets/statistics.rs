//! `fast train`: recorded statistics that cannot be used.

use crate::{
    reading::{only, same_as, train},
    set::POINTER,
    stderr,
};
use serde_json::{Value, json};

#[test]
fn invalid_statistics_are_replaced_by_computed_ones() {
    let figures =
        |q99: Value| json!({"action": {"q01": [-20.0, -20.0, -20.0], "q99": q99, "count": [42]}});
    let valid = only(&[0, 1, 2]);
    valid.write(
        "meta/stats.json",
        figures(json!([20.0, 20.0, 20.0])).to_string(),
    );
    let with_camera = only(&[0, 1, 2]);
    let mut stats = figures(json!([20.0, 20.0, 20.0]));
    stats["observation.images.top"] = json!({"mean": ["nan"]});
    with_camera.write(
        "meta/stats.json",
        stats.to_string().replace("\"nan\"", "NaN"),
    );
    same_as(&valid, &with_camera, &[]);
    let needed = only(&[0, 1, 2]);
    needed.write(
        "meta/stats.json",
        figures(json!([20.0, 20.0, "nan"]))
            .to_string()
            .replace("\"nan\"", "NaN"),
    );
    let computed = only(&[0, 1, 2]);
    same_as(
        &computed,
        &needed,
        &["the recorded q99 of dimension 2 is NaN or infinite; computed"],
    );
    for (content, cause) in [
        ("", "stats.json has 0 bytes"),
        ("{\"action\": {\"q01\": [", "stats.json was never finished"),
        (
            "{\"action\": {\"q01\": [0], \"q99\": [1]}}",
            "the recorded q01 has 1 values",
        ),
        (POINTER, "stats.json is a Git LFS pointer"),
    ] {
        let set = only(&[0, 1, 2]);
        set.write("meta/stats.json", content);
        same_as(&computed, &set, &[cause]);
    }
    // Without normalisation the statistics are not needed.
    let (output, _) = train(&needed, &["--normalise", "none", "--scale", "0.5"]);
    assert!(!stderr(&output).contains("NaN"), "{}", stderr(&output));
}

#[test]
fn statistics_that_contradict_the_rows_are_replaced_by_computed_ones() {
    let computed = only(&[0, 1, 2]);
    let recorded = |q01: f64, q99: f64, message: &str| {
        let set = only(&[0, 1, 2]);
        let stats = json!({"action": {"q01": [-20.0, q01, -20.0], "q99": [20.0, q99, 20.0]}});
        set.write("meta/stats.json", stats.to_string());
        same_as(&computed, &set, &[message, "computed from the 3 episodes"]);
    };
    recorded(20.0, -20.0, "of dimension 1, the recorded q01 is 20.0000");
    recorded(3.0, 3.0, "leaves no range for rows");
    recorded(-2000.0, 2000.0, "those of the rows are");
}
