//! Golden bytes and refusals of depth maps.

use crate::{depth, dump, observation, trace};
use protocol::{
    FrameError, View, ViewEncoding, decode, depth::DepthReasoning, encode, viewer::Trace,
};

#[test]
fn a_depth_map_has_these_bytes_and_may_be_absent() {
    let plain = dump(&encode(&trace()).unwrap());
    let with = Trace {
        depth: Some(Box::new(depth())),
        ..trace()
    };
    let bytes = encode(&with).unwrap();
    assert!(
        !plain.contains("depth"),
        "an older viewer reads what it read before"
    );
    let (_, depth) = dump(&bytes)
        .split_once("[a5]depth")
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    assert_eq!(
        depth,
        "[88][a6]camera[a1]o[a5]codes[92][05][cd][01][2c][a7]columns[02][ab]regenerated[92][c3][c2]\
         [aa]similarity[92][ca][3f][00][00][00][ca][3f][80][00][00][a9]threshold[ca][3f][40][00][00]\
         [a8]forwards[04][a5]frame[c0]"
    );
    assert_eq!(decode::<Trace>(&bytes).unwrap(), with);
}

#[test]
fn an_invalid_depth_map_is_refused_with_the_field() {
    let field = |depth: DepthReasoning| {
        let trace = Trace {
            depth: Some(Box::new(depth)),
            ..trace()
        };
        match encode(&trace).unwrap_err() {
            FrameError::Invalid { field, .. } => field,
            other => panic!("{other}"),
        }
    };
    let wrong = [
        (
            DepthReasoning {
                columns: 0,
                ..depth()
            },
            "depth.columns",
        ),
        (
            DepthReasoning {
                regenerated: vec![true],
                ..depth()
            },
            "depth.regenerated",
        ),
        (
            DepthReasoning {
                similarity: vec![1.0],
                ..depth()
            },
            "depth.similarity",
        ),
        (
            DepthReasoning {
                similarity: vec![1.0, f32::NAN],
                ..depth()
            },
            "depth.similarity",
        ),
        (
            DepthReasoning {
                codes: vec![0; 5000],
                ..depth()
            },
            "depth.codes",
        ),
        (
            DepthReasoning {
                frame: Some(View {
                    data: Vec::new(),
                    encoding: ViewEncoding::Jpeg,
                    ..observation().views[0].clone()
                }),
                ..depth()
            },
            "view.data",
        ),
    ];
    for (depth, expected) in wrong {
        assert_eq!(field(depth), expected);
    }
    let first = DepthReasoning {
        similarity: Vec::new(),
        ..depth()
    };
    assert_eq!((first.written(), first.rows()), (1, 1));
    assert!(
        encode(&Trace {
            depth: Some(Box::new(first)),
            ..trace()
        })
        .is_ok()
    );
}
