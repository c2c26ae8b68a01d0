//! Points and boxes in answers: the forms of the family, and text that must not be taken for them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use molmoact2::grounding::{BoundingBox, Markup, Point, Shapes, parse, plain, plain_so_far};
use proptest::prelude::*;

const ONE: [[usize; 2]; 1] = [[640, 480]];
const TWO: [[usize; 2]; 2] = [[640, 480], [100, 200]];

fn points(markup: &Markup) -> Vec<(usize, u32, f32, f32)> {
    let Shapes::Points(points) = &markup.shapes else {
        panic!("{markup:?}");
    };
    points.iter().map(|p| (p.image, p.id, p.x, p.y)).collect()
}

/// The one piece of markup of an answer.
fn only(text: &str, sizes: &[[usize; 2]]) -> Markup {
    let mut found = parse(text, sizes);
    assert_eq!(found.len(), 1, "{text}: {found:?}");
    found.remove(0)
}

#[test]
fn molmo2_points() {
    let text = "Counting the <points coords=\"1 1 500 250 2 1000 000\">red cups</points> shows a total of 2.";
    let markup = only(text, &ONE);
    assert_eq!(points(&markup), [(0, 1, 320.0, 120.0), (0, 2, 640.0, 0.0)]);
    assert_eq!(markup.label, "red cups");
    assert_eq!(
        plain(text, &[markup]),
        "Counting the red cups shows a total of 2."
    );
}

#[test]
fn markup_that_is_still_being_written_is_left_out() {
    let text = "At 1 < 2 <points coords=\"1 1 500 250\">cup</points> and <boxes coords=\"1 1 100 100 200 200\">tray</boxes>.";
    let mut shown: Vec<String> = (0..=text.len())
        .map(|end| plain_so_far(&text[..end], &parse(&text[..end], &ONE)))
        .collect();
    shown.dedup();
    // No coordinates are ever shown, and shown text is never taken back.
    assert!(
        shown.iter().all(|text| !text.contains("coords")),
        "{shown:?}"
    );
    assert_eq!(shown.last().unwrap(), "At 1 < 2 cup and tray.");
    assert!(shown.contains(&"At 1 < 2 ".to_owned()));
    for pair in shown.windows(2) {
        let (before, after) = (pair[0].trim_end_matches('<'), &pair[1]);
        assert!(after.starts_with(before), "{pair:?}");
    }
    // Of no use, but at its end: stays text.
    let odd = "<points coords=\"x\">cup</points> there";
    assert_eq!(plain_so_far(odd, &parse(odd, &ONE)), odd);
}

#[test]
fn points_in_several_images_with_either_divider() {
    for divider in ["\t", ";", ":", ","] {
        let text =
            format!("<points coords=\"1 1 500 250{divider}2 2 500 500 3 010 100\">tip</points>");
        assert_eq!(
            points(&only(&text, &TWO)),
            [(0, 1, 320.0, 120.0), (1, 2, 50.0, 100.0), (1, 3, 1.0, 20.0)]
        );
    }
}

#[test]
fn tracks_other_end_tags_and_attributes() {
    let track = only(
        "<tracks coords=\"1.0 1 100 200;2.0 1 300 400\">arm</tracks>",
        &TWO,
    );
    assert_eq!(points(&track), [(0, 1, 64.0, 96.0), (1, 1, 30.0, 80.0)]);
    for (text, label, rest) in [
        ("<points coords=\"1 1 500 500\">a</point>!", "a", "a!"),
        ("<points label=\"b\" coords=\"1 1 500 500\"/>!", "b", "b!"),
        (
            "<points alt=\"c c\" coords=\"1 1 500 500\" />!",
            "c c",
            "c c!",
        ),
        (
            "<points alt=\"x > y\" coords=\"1 1 500 500\">d</points>",
            "d",
            "d",
        ),
        ("<points coords=\"1 1 500 500\">no end", "", "no end"),
        ("<points coords=\"1 1 500 500\"></points>.", "", "."),
    ] {
        let markup = only(text, &ONE);
        assert_eq!(points(&markup), [(0, 1, 320.0, 240.0)], "{text}");
        assert_eq!(markup.label, label, "{text}");
        assert_eq!(plain(text, &[markup]), rest, "{text}");
    }
}

#[test]
fn boxes_on_both_scales() {
    let expected = BoundingBox {
        image: 0,
        id: 1,
        left: 64.0,
        top: 96.0,
        right: 320.0,
        bottom: 480.0,
    };
    for coords in ["1 1 100 200 500 1000", "1 1 10 20 50 100"] {
        let markup = only(&format!("<boxes coords=\"{coords}\">cube</boxes>"), &ONE);
        assert_eq!(markup.shapes, Shapes::Boxes(vec![expected]), "{coords}");
        assert_eq!(markup.label, "cube");
    }
    let two = only(
        "<boxes coords=\"1 1 160 230 480 590;2 2 000 100 200 300\">o</boxes>",
        &TWO,
    );
    let Shapes::Boxes(boxes) = two.shapes else {
        panic!();
    };
    assert_eq!(boxes.len(), 2);
    assert_eq!((boxes[1].image, boxes[1].id), (1, 2));
    assert_eq!((boxes[1].right, boxes[1].bottom), (20.0, 60.0));
}

#[test]
fn molmo1_points_in_per_cent() {
    let one = only(
        "There: <point x=\"50.0\" y=\" 25\" alt=\"cup\">cup</point>",
        &ONE,
    );
    assert_eq!(points(&one), [(0, 1, 320.0, 120.0)]);
    let three = only(
        "<points x1=\"0.0\" y1=\"100.0\" x2=\"10.5\" y2=\"20.5\" alt=\"cups\">cups</points>",
        &[[200, 200]],
    );
    assert_eq!(points(&three), [(0, 1, 0.0, 200.0), (0, 2, 21.0, 41.0)]);
}

#[test]
fn tuples_as_asked_for_in_words() {
    let text = "Free space: [(0.5, 0.25), (0.125,1.0)] and [see above].";
    let markup = only(text, &ONE);
    assert_eq!(points(&markup), [(0, 1, 320.0, 120.0), (0, 2, 80.0, 480.0)]);
    assert_eq!(&text[markup.span], "[(0.5, 0.25), (0.125,1.0)]");
}

#[test]
fn what_is_malformed_stays_text() {
    for text in [
        "<points coords=\"\">x</points>",
        "<points coords=\"1\">x</points>",
        "<points coords=\"1 1 500\">x</points>",
        "<points coords=\"1 1 500 500 2\">x</points>",
        "<points coords=\"1 1 50 50\">x</points>",
        "<points coords=\"1 1 500 1001\">x</points>",
        "<points coords=\"1 1 500 -10\">x</points>",
        "<points coords=\"1 1 500 5.0\">x</points>",
        "<points coords=\"0 1 500 500\">x</points>",
        "<points coords=\"2 1 500 500\">x</points>",
        "<points coords=\"1.5 1 500 500\">x</points>",
        "<points coords=\"1 99999999999 500 500\">x</points>",
        "<points coords='1 1 500 500'>x</points>",
        "<points coords=\"1 1 500 500",
        "<points coords=\"1 1 500 500\"",
        "<pointscoords=\"1 1 500 500\">",
        "<dots coords=\"1 1 500 500\">x</dots>",
        "<boxes coords=\"1 1 500 500\">x</boxes>",
        "<boxes coords=\"1 1 500 500 400 600\">x</boxes>",
        "<boxes coords=\"1 1 10 20 50 101\">x</boxes>",
        "<boxes>x</boxes>",
        "<point x=\"50\">x</point>",
        "<point x=\"50\" y=\"101\">x</point>",
        "<point x=\"1e1\" y=\"NaN\">x</point>",
        "<points x1=\"50\" y1=\"20\" x2=\"3\">x</points>",
        "[(0.5, 0.25)",
        "[(0.5, 1.25)]",
        "[(1, 0)]",
        "[(0.5, 0.25) (0.5, 0.5)]",
        "[]",
        "[1] a < b > c",
        "<",
        "<points",
        "[",
    ] {
        assert_eq!(parse(text, &ONE), [], "{text}");
        assert_eq!(plain(text, &[]), text);
    }
    // These name no image, which is ambiguous for two.
    assert_eq!(
        parse("<point x=\"50\" y=\"50\">x</point> [(0.5, 0.5)]", &TWO),
        []
    );
    assert_eq!(parse("<points coords=\"1 1 500 500\">x</points>", &[]), []);
}

#[test]
fn good_markup_after_bad_is_found() {
    let text =
        "<points <boxes coords=\"x\"> <points coords=\"1 1 500 250\">é</points>[(0.5, 0.25)]é";
    let found = parse(text, &ONE);
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!(plain(text, &found), "<points <boxes coords=\"x\"> éé");
}

proptest! {
    #[test]
    fn anything_is_read_without_harm(
        text in "([<\\[]?(points?|boxes|tracks)? ?(coords|x1|y)?=?\"?[0-9 .;,()é]{0,12}\"?/?[>\\]]?(</points>)?){0,6}",
        sizes in prop::collection::vec(prop::array::uniform2(1_usize..5000), 0..4),
    ) {
        let found = parse(&text, &sizes);
        let mut end = 0;
        for markup in &found {
            prop_assert!(markup.span.start >= end && markup.span.end > markup.span.start);
            prop_assert!(text.get(markup.span.clone()).is_some());
            end = markup.span.end;
            let inside = |image: usize, x: f32, y: f32| {
                let [width, height] = sizes[image];
                (0.0..=width as f32).contains(&x) && (0.0..=height as f32).contains(&y)
            };
            match &markup.shapes {
                Shapes::Points(points) => {
                    prop_assert!(!points.is_empty());
                    prop_assert!(points.iter().all(|p: &Point| inside(p.image, p.x, p.y)));
                }
                Shapes::Boxes(boxes) => {
                    prop_assert!(!boxes.is_empty());
                    prop_assert!(boxes.iter().all(|b| inside(b.image, b.left, b.top)
                        && inside(b.image, b.right, b.bottom) && b.left <= b.right && b.top <= b.bottom));
                }
            }
        }
        prop_assert!(plain(&text, &found).len() <= text.len());
    }

    #[test]
    fn any_text_at_all_is_read_without_harm(text in any::<String>(), cut in 0_usize..200) {
        let whole = format!("{text}<points coords=\"1 1 361 691 2 412 690\">cups</points><boxes coords=\"1 1 10 20 30 40\">b</boxes>");
        let cut = whole.floor_char_boundary(cut.min(whole.len()));
        prop_assert!(parse(&whole[..cut], &ONE).len() < 60);
        prop_assert!(parse(&whole, &ONE).len() >= 2 || text.contains(['<', '[', '"']));
    }

    #[test]
    fn points_come_back_where_they_were_written(
        marks in prop::collection::vec((0_usize..2, 1_u32..100, 0_u32..=1000, 0_u32..=1000), 1..20),
    ) {
        let groups: Vec<String> = marks
            .iter()
            .map(|(image, id, x, y)| format!("{} {id} {x:03} {y:03}", image + 1))
            .collect();
        let text = format!("<points coords=\"{}\">m</points>", groups.join(";"));
        let found = points(&only(&text, &TWO));
        prop_assert_eq!(found.len(), marks.len());
        for ((image, id, x, y), found) in marks.iter().zip(found) {
            let [width, height] = TWO[*image];
            prop_assert_eq!((*image, *id), (found.0, found.1));
            prop_assert!((found.2 - *x as f32 * width as f32 / 1000.0).abs() < 1e-3);
            prop_assert!((found.3 - *y as f32 * height as f32 / 1000.0).abs() < 1e-3);
        }
    }
}
