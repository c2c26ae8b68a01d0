//! Every row of a batch equals the same request alone: prompts of different lengths, images, robots, noise, running
//! chunks, depth maps and answers of different lengths, in batches of one to eight.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::borrow::Cow;

use common::batches::{Robots, compare, compare_outcomes, compare_rows, left_over};
use common::{CASES, Golden};
use molmoact2::{
    ActError, ActOptions, Continuation, Decoding, Depth, DepthCache, Files, Mode, Observation,
    Policy, Request, Schedule,
};

const THINK: [&str; 4] = [
    "think_per_layer",
    "think_shared",
    "think_ungated",
    "think_three_cameras",
];

fn policy(golden: &Golden) -> Policy {
    let files = Files::open_dir(&golden.checkpoint()).unwrap();
    Policy::load(&files, &golden.device).unwrap()
}

#[test]
fn continuous_rows_are_what_they_are_alone() {
    for case in CASES {
        let golden = Golden::open(case);
        let policy = policy(&golden);
        let robots = Robots::new(&golden, 8);
        for dumps in [false, true] {
            let options: Vec<ActOptions> = (0..8)
                .map(|robot| ActOptions {
                    seed: robot as u64 / 2,
                    dumps,
                    ..ActOptions::default()
                })
                .collect();
            let requests: Vec<Request<'_>> = (0..8)
                .map(|robot| Request {
                    observation: robots.observation(robot),
                    options: &options[robot],
                })
                .collect();
            let alone = compare_rows(case, &policy, &requests);
            let mut lengths: Vec<usize> = alone.iter().map(|a| a.prompt_ids.len()).collect();
            lengths.sort_unstable();
            lengths.dedup();
            assert!(lengths.len() > 3, "prompts of {lengths:?} tokens");
        }
    }
}

#[test]
fn rows_continue_their_own_chunk_and_take_their_own_number_of_steps() {
    let golden = Golden::open("two_cameras");
    let policy = policy(&golden);
    let robots = Robots::new(&golden, 6);
    let running = |rows: usize, delay: usize, schedule: Schedule, most: f32| {
        Some(Continuation {
            schedule,
            max_guidance: most,
            ..Continuation::new(left_over(5, rows), delay)
        })
    };
    let continuations = [
        None,
        running(4, 1, Schedule::Linear, 10.0),
        running(2, 0, Schedule::Exp, 3.0),
        running(0, 2, Schedule::Ones, 10.0),
        running(9, 2, Schedule::Ones, 10.0),
        running(3, 1, Schedule::Zeros, 5.0),
    ];
    let options: Vec<ActOptions> = continuations
        .into_iter()
        .enumerate()
        .map(|(robot, continuation)| ActOptions {
            continuation,
            noise: (robot == 2).then(|| golden.floats("noise")),
            flow_steps: [0, 3][robot / 4],
            ..ActOptions::default()
        })
        .collect();
    let requests: Vec<Request<'_>> = (0..6)
        .map(|robot| Request {
            observation: robots.observation(robot),
            options: &options[robot],
        })
        .collect();
    compare_rows("continued", &policy, &requests);
}

#[test]
fn discrete_rows_end_when_they_end() {
    let mut lengths = Vec::new();
    for case in CASES {
        let golden = Golden::open(case);
        let policy = policy(&golden);
        if !policy.info().modes.contains(&Mode::Discrete) {
            continue;
        }
        let robots = Robots::new(&golden, 8);
        for dumps in [false, true] {
            let options = ActOptions {
                mode: Mode::Discrete,
                dumps,
                ..ActOptions::default()
            };
            let requests: Vec<Request<'_>> = (0..8)
                .map(|robot| Request {
                    observation: robots.observation(robot),
                    options: &options,
                })
                .collect();
            let alone = compare_rows(case, &policy, &requests);
            lengths.extend(alone.iter().map(|action| action.action_tokens.len()));
            let mut told: Vec<Vec<u32>> = vec![Vec::new(); 8];
            policy.act_batch_streaming(&requests, 3, &mut |place, ids| {
                assert_eq!(told[place].len() + 1, ids.len(), "one call per token");
                told[place] = ids.to_vec();
            });
            for (told, action) in told.iter().zip(&alone) {
                assert_eq!(told, &action.action_tokens);
            }
        }
    }
    println!("{lengths:?} tokens");
    assert!(
        lengths.iter().any(|length| *length != lengths[0]),
        "all of one length"
    );
}

/// The checkpoint of `two_cameras`, its second robot given the horizon of the first.
fn one_horizon(golden: &Golden) -> Policy {
    let folder = golden.checkpoint();
    let mut files = Vec::new();
    let parts = ["", "openfast"].map(|part| std::fs::read_dir(folder.join(part)).unwrap());
    for entry in parts.into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            continue;
        }
        let name = path.strip_prefix(&folder).unwrap().to_str().unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        if name == "norm_stats.json" {
            let mut stats: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            let tags = &mut stats["metadata_by_tag"];
            let horizon = tags["pair"]["action_horizon"].clone();
            tags["other"]["action_horizon"] = horizon;
            bytes = serde_json::to_vec(&stats).unwrap();
        }
        files.push((name.to_owned(), Cow::Owned(bytes)));
    }
    Policy::load(&Files::from_memory(files), &golden.device).unwrap()
}

#[test]
fn robots_with_other_cameras_dimensions_and_horizons_share_a_batch() {
    let golden = Golden::open("two_cameras");
    let robots = Robots::new(&golden, 8);
    for (name, policy) in [
        ("one horizon", one_horizon(&golden)),
        ("two horizons", policy(&golden)),
    ] {
        let tag = policy
            .info()
            .tags
            .iter()
            .find(|tag| tag.tag == "other")
            .unwrap();
        assert_ne!(tag.cameras.len(), robots.images[0].len());
        let state = vec![0.1; tag.state_dim];
        let wide = ActOptions::default();
        let continued = ActOptions {
            continuation: Some(Continuation::new(left_over(tag.action_dim, 2), 1)),
            seed: 3,
            ..ActOptions::default()
        };
        let tokens = ActOptions {
            mode: Mode::Discrete,
            ..ActOptions::default()
        };
        let requests: Vec<Request<'_>> = (0..8)
            .map(|robot| {
                let pair = robots.observation(robot);
                let observation = if robot % 2 == 0 {
                    pair
                } else {
                    Observation {
                        images: &pair.images[..1],
                        state: &state,
                        tag: "other",
                        ..pair
                    }
                };
                let options = match robot {
                    0..=3 => &wide,
                    5 => &continued,
                    _ => &tokens,
                };
                Request {
                    observation,
                    options,
                }
            })
            .collect();
        compare_rows(name, &policy, &requests);
    }
}

#[test]
fn a_row_that_fails_fails_alone() {
    let golden = Golden::open("one_camera");
    let policy = policy(&golden);
    let robots = Robots::new(&golden, 5);
    let good = ActOptions::default();
    let bad_noise = ActOptions {
        noise: Some(vec![0.0; 3]),
        ..ActOptions::default()
    };
    let strict = ActOptions {
        mode: Mode::Discrete,
        decoding: Decoding::Strict,
        ..ActOptions::default()
    };
    let endless = ActOptions {
        flow_steps: 100_000,
        ..ActOptions::default()
    };
    let mut requests: Vec<Request<'_>> = [&good, &bad_noise, &good, &strict, &endless]
        .into_iter()
        .enumerate()
        .map(|(robot, options)| Request {
            observation: robots.observation(robot),
            options,
        })
        .collect();
    requests.push(Request {
        observation: Observation {
            tag: "nobody",
            ..robots.observation(0)
        },
        options: &good,
    });
    let rows = policy.act_batch(&requests, 8);
    for (place, row) in rows.iter().enumerate() {
        let alone = policy.act(&requests[place].observation, requests[place].options);
        match (row, alone) {
            (Ok(row), Ok(alone)) => {
                compare("beside errors", &alone, row);
            }
            (Err(row), Err(alone)) => assert_eq!(row.to_string(), alone.to_string()),
            (row, alone) => panic!("row {place}: {row:?} but alone {alone:?}"),
        }
    }
    assert!(rows[0].is_ok() && rows[2].is_ok());
    assert!(matches!(rows[1], Err(ActError::BadNoise { .. })));
    assert!(matches!(rows[4], Err(ActError::TooManySteps { .. })));
    assert!(matches!(rows[5], Err(ActError::UnknownTag { .. })));
    assert!(policy.act_batch(&[], 8).is_empty());
}

#[test]
fn depth_maps_are_written_side_by_side() {
    for case in THINK {
        let golden = Golden::open(case);
        let policy = policy(&golden);
        let robots = Robots::new(&golden, 8);
        let first = ActOptions {
            depth: Depth::Full,
            ..ActOptions::default()
        };
        let before = policy.act(&robots.observation(0), &first).unwrap();
        let cache = before.depth.unwrap().cache;
        // From a map with other codes, so that kept codes differ from generated ones.
        let other = DepthCache {
            codes: cache.codes.iter().map(|code| (code + 1) % 4).collect(),
            ..cache.clone()
        };
        for mode in &policy.info().modes {
            for dumps in [false, true] {
                let options: Vec<ActOptions> = [
                    Depth::Full,
                    Depth::Adaptive { cache: None },
                    Depth::Adaptive {
                        cache: Some(cache.clone()),
                    },
                    Depth::Adaptive {
                        cache: Some(other.clone()),
                    },
                    Depth::Full,
                    Depth::Off,
                    Depth::Adaptive {
                        cache: Some(other.clone()),
                    },
                    Depth::Off,
                ]
                .into_iter()
                .enumerate()
                .map(|(robot, depth)| ActOptions {
                    mode: *mode,
                    depth,
                    dumps,
                    seed: robot as u64,
                    ..ActOptions::default()
                })
                .collect();
                // These checkpoints end a map only for the scene they were made for, so most robots have it: first
                // the others move, then the others get another instruction.
                let scenes = [0, 1, 0, 0, 2, 5, 1, 7];
                let requests: Vec<Request<'_>> = (0..8)
                    .map(|robot| Request {
                        observation: Observation {
                            images: &robots.images[scenes[robot]],
                            ..robots.observation(if robot == 2 { 1 } else { 0 })
                        },
                        options: &options[robot],
                    })
                    .collect();
                let answers = compare_outcomes(&format!("{case} {mode}"), &policy, &requests);
                let maps = answers
                    .iter()
                    .flatten()
                    .filter(|answer| answer.depth.is_some());
                assert!(maps.count() >= 2, "{answers:?}");
            }
        }
    }
}
