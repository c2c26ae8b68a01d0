//! Survey of the expert: success rate, episode length and cost per family, over many seeds.
//!
//! `cargo run -p sim --example survey -- [seeds] [first seed]`

use std::time::{Duration, Instant};

use rand::SeedableRng as _;
use rand::seq::IndexedRandom as _;
use rand_chacha::ChaCha8Rng;
use sim::{Camera, Expert, Status, Task, TaskFamily, TaskMonitor, World, render};

const LONGEST_TICKS: u64 = 300;

fn main() {
    let mut numbers = std::env::args()
        .skip(1)
        .filter_map(|text| text.parse::<u64>().ok());
    let seeds = numbers.next().unwrap_or(100);
    let first = numbers.next().unwrap_or(0);
    let mut stepping = Duration::ZERO;
    let mut planning = Duration::ZERO;
    let mut ticks = 0u64;
    for family in TaskFamily::all() {
        let (mut successes, mut length) = (0u64, 0u64);
        let mut failed = Vec::new();
        let mut longest = 0;
        for seed in first..first + seeds {
            let mut world = World::new(seed);
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let task = Task::sample(family, &world, &mut rng);
            let mut monitor = TaskMonitor::new(&task, &world);
            while monitor.status() == Status::Running && world.tick() < LONGEST_TICKS {
                let start = Instant::now();
                let chunk = Expert::new().chunk(&world, &task, 8);
                planning += start.elapsed();
                for target in chunk.iter().take(4) {
                    let start = Instant::now();
                    world.step(target);
                    stepping += start.elapsed();
                    ticks += 1;
                    monitor.update(&world);
                }
            }
            match monitor.succeeded_at_tick() {
                Some(tick) => {
                    successes += 1;
                    length += tick;
                    longest = longest.max(tick);
                }
                None => failed.push((seed, task.canonical())),
            }
        }
        println!(
            "{:8} success {successes}/{seeds}, mean length {:.0} ticks, longest {longest}; failed {failed:?}",
            family.name(),
            length as f64 / successes.max(1) as f64,
        );
    }
    let micros = |time: Duration, count: u64| time.as_secs_f64() * 1e6 / count.max(1) as f64;
    println!(
        "step {:.0} us, chunk of 8 {:.0} us",
        micros(stepping, ticks),
        micros(planning, ticks / 4)
    );

    chains(seeds, first);

    let world = World::new(first);
    for camera in Camera::ALL {
        let mut times: Vec<Duration> = (0..200)
            .map(|_| {
                let start = Instant::now();
                std::hint::black_box(render(&world, camera));
                start.elapsed()
            })
            .collect();
        times.sort();
        let at = |share: usize| {
            times
                .get(times.len() * share / 100)
                .map_or(0, Duration::as_micros)
        };
        println!(
            "render {:8} fastest {} us, median {} us",
            camera.name(),
            at(0),
            at(50)
        );
    }
    let start = Instant::now();
    for _ in 0..100 {
        std::hint::black_box(world.clone());
    }
    println!("clone {:.0} us", micros(start.elapsed(), 100));
    let start = Instant::now();
    for seed in 0..100 {
        std::hint::black_box(World::new(seed));
    }
    println!("new {:.0} us", micros(start.elapsed(), 100));
}

/// Runs several successive tasks in one world, as in interactive use.
fn chains(seeds: u64, first: u64) {
    let (mut attempts, mut successes) = (0, 0);
    let mut failed = Vec::new();
    for seed in first..first + seeds {
        let mut world = World::new(seed);
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        for link in 0..4 {
            let options: Vec<Task> = TaskFamily::all()
                .iter()
                .flat_map(|family| Task::options(*family, &world))
                .collect();
            let Some(task) = options.choose(&mut rng).copied() else {
                break;
            };
            let mut monitor = TaskMonitor::new(&task, &world);
            let end = world.tick() + LONGEST_TICKS;
            while monitor.status() == Status::Running && world.tick() < end {
                for target in Expert::new().chunk(&world, &task, 4) {
                    world.step(&target);
                    monitor.update(&world);
                }
            }
            attempts += 1;
            if monitor.status() == Status::Succeeded {
                successes += 1;
            } else {
                failed.push((seed, link, task.canonical()));
            }
        }
    }
    println!("chains of four: {successes}/{attempts}; failed {failed:?}");
}
