//! The world is reproducible, enforces its limits, and renders plausible images.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use sim::{
    Camera, Expert, HEIGHT_PIXELS, JOINTS, JointVector, Task, TaskFamily, WIDTH_PIXELS, World,
    render,
};

/// Targets that wander over the whole range, so that cubes are hit as well.
fn wandering_targets(seed: u64, count: usize) -> Vec<JointVector> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut target = World::new(seed).state();
    (0..count)
        .map(|_| {
            for (value, info) in target.iter_mut().zip(&JOINTS) {
                *value += rng.random_range(-0.08f32..0.08) * (info.max - info.min);
                *value = value.clamp(info.min * 0.7, info.max * 0.7);
            }
            target
        })
        .collect()
}

/// All numbers of the state, as bits.
fn bits(world: &World) -> Vec<u32> {
    let mut all: Vec<u32> = world.state().iter().map(|v| v.to_bits()).collect();
    for object in world.objects() {
        all.extend(
            object
                .position
                .iter()
                .chain(&object.rotation)
                .chain([&object.speed])
                .map(|v| v.to_bits()),
        );
        all.push(u32::from(object.held));
    }
    all
}

#[test]
fn the_same_seed_and_targets_give_the_same_bits_and_pixels() {
    for seed in [0u64, 7] {
        let (mut first, mut second) = (World::new(seed), World::new(seed));
        for target in wandering_targets(seed, 120) {
            assert_eq!(first.step(&target), second.step(&target));
            assert_eq!(bits(&first), bits(&second), "tick {}", first.tick());
        }
        for camera in Camera::ALL {
            assert_eq!(render(&first, camera), render(&second, camera));
        }
    }
}

#[test]
fn different_seeds_give_different_scenes() {
    assert_ne!(bits(&World::new(1)), bits(&World::new(2)));
    let counts: std::collections::BTreeSet<usize> = (0..40)
        .map(|seed| World::new(seed).objects().len())
        .collect();
    assert_eq!(counts.into_iter().collect::<Vec<_>>(), [2, 3]);
}

#[test]
fn a_clone_continues_exactly_like_the_original_with_a_held_cube() {
    let mut world = World::new(4);
    let task = Task::sample(
        TaskFamily::PickUp,
        &world,
        &mut ChaCha8Rng::seed_from_u64(4),
    );
    while world.object(task.object).is_some_and(|object| !object.held) && world.tick() < 200 {
        let chunk = Expert::new().chunk(&world, &task, 1);
        world.step(&chunk[0]);
    }
    assert!(world.object(task.object).unwrap().held);
    let mut copy = world.clone();
    for target in wandering_targets(4, 90) {
        world.step(&target);
        copy.step(&target);
        assert_eq!(bits(&world), bits(&copy), "tick {}", world.tick());
    }
}

#[test]
fn targets_outside_the_limits_are_clamped_and_reported() {
    let mut world = World::new(0);
    let mut limited = [false; sim::DOF];
    for _ in 0..90 {
        let report = world.step(&[500.0, -500.0, 500.0, -500.0, 500.0, 500.0]);
        limited = report.limited;
        assert!(report.clamped());
        for (value, info) in world.state().iter().zip(world.joints()) {
            assert!(
                (info.min..=info.max).contains(value),
                "{} at {value}",
                info.name
            );
        }
    }
    assert_eq!(limited, [true; sim::DOF]);
}

#[test]
fn no_joint_moves_faster_than_its_limit() {
    let mut world = World::new(5);
    for target in wandering_targets(11, 200) {
        let before = world.state();
        let far = target.map(|v| v * 2.0);
        world.step(&far);
        for ((before, after), info) in before.iter().zip(&world.state()).zip(&JOINTS) {
            let most = info.max_speed_per_sec / sim::CONTROL_RATE_HZ as f32;
            assert!(
                (after - before).abs() <= most * 1.001,
                "{}: {before} to {after}",
                info.name
            );
        }
    }
}

#[test]
fn a_target_that_is_not_finite_is_refused_and_the_arm_holds() {
    let mut world = World::new(0);
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for joint in 0..sim::DOF {
            let before = world.state();
            let mut target = before;
            target[(joint + 1) % sim::DOF] += 20.0;
            target[joint] = bad;
            let report = world.step(&target);
            assert!(report.refused && report.clamped());
            assert_eq!(world.state(), before);
        }
    }
}

#[test]
fn the_fingers_are_stopped_above_the_table() {
    let mut world = World::new(0);
    let mut blocked = false;
    let [pan, ..] = world.state();
    for _ in 0..120 {
        // Leaning forward and straightening presses the hand into the table.
        blocked |= world.step(&[pan, 95.0, 40.0, 20.0, 0.0, 50.0]).blocked;
        let [.., z] = world.tool_center_point();
        assert!(z > 0.0, "tick {}: {z}", world.tick());
    }
    assert!(blocked);
}

#[test]
fn random_motion_keeps_cubes_near_and_numbers_finite() {
    for seed in 20..26 {
        let mut world = World::new(seed);
        for target in wandering_targets(seed + 100, 300) {
            world.step(&target);
        }
        for object in world.objects() {
            let [x, y, z] = object.position;
            assert!(x.is_finite() && y.is_finite() && z.is_finite());
            assert!(
                x.hypot(y) < 1.2 && (0.0..0.5).contains(&z),
                "seed {seed}: {object:?}"
            );
        }
    }
}

#[test]
fn cubes_at_rest_stay_where_they_are() {
    let mut world = World::new(9);
    let start = world.objects();
    let hold = world.state();
    for _ in 0..150 {
        world.step(&hold);
    }
    for (before, after) in start.iter().zip(world.objects()) {
        for (a, b) in before.position.iter().zip(after.position) {
            assert!((a - b).abs() < 0.001, "{before:?} drifted to {after:?}");
        }
        assert!(after.speed < 0.005);
    }
}

fn nearest_depth(depth: &[u16]) -> u16 {
    depth.iter().copied().filter(|mm| *mm > 0).min().unwrap()
}

#[test]
fn the_overview_camera_measures_plausible_depths_and_the_wrist_camera_none() {
    for seed in 0..6 {
        let world = World::new(seed);
        let overview = render(&world, Camera::Overview);
        assert_eq!(
            (overview.width, overview.height),
            (WIDTH_PIXELS, HEIGHT_PIXELS)
        );
        assert_eq!(overview.rgb.len(), WIDTH_PIXELS * HEIGHT_PIXELS * 3);
        let depth = overview.depth_mm.unwrap();
        assert_eq!(depth.len(), WIDTH_PIXELS * HEIGHT_PIXELS);
        // The lowest row shows the table close by; nothing is closer than the table in front of the lens.
        let bottom = depth[(HEIGHT_PIXELS - 1) * WIDTH_PIXELS + WIDTH_PIXELS / 2];
        assert!((300..700).contains(&bottom), "{bottom}");
        assert!(nearest_depth(&depth) > 250);
        // Distance increases upwards along an image column of bare table at the side.
        let column: Vec<u16> = (0..HEIGHT_PIXELS)
            .map(|y| depth[y * WIDTH_PIXELS + 2])
            .collect();
        assert!(
            column
                .windows(2)
                .all(|pair| pair[0] >= pair[1] || pair[0] == 0),
            "{column:?}"
        );
        assert!(render(&world, Camera::Wrist).depth_mm.is_none());
    }
}

#[test]
fn every_cube_shows_its_color_in_the_overview_image() {
    let is = |color: sim::Color, [r, g, b]: [i32; 3]| match color {
        sim::Color::Red => r > 110 && g < 70 && b < 70,
        sim::Color::Green => g > 90 && r < 80 && b < 100,
        sim::Color::Blue => b > 120 && r < 70 && g < 110,
        sim::Color::Yellow => r > 130 && g > 100 && b < 70,
    };
    for seed in 0..20 {
        let world = World::new(seed);
        let rgb = render(&world, Camera::Overview).rgb;
        for color in sim::Color::ALL {
            let pixels = rgb
                .chunks_exact(3)
                .filter(|p| is(color, [p[0], p[1], p[2]].map(i32::from)))
                .count();
            if world.colors().contains(&color) {
                assert!(
                    pixels > 120,
                    "seed {seed}: {color:?} shows in {pixels} pixels"
                );
            } else {
                assert!(
                    pixels < 12,
                    "seed {seed}: {color:?} is absent but shows in {pixels} pixels"
                );
            }
        }
    }
}
