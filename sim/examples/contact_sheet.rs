//! Contact sheet of an expert episode: both cameras and depth every few ticks.
//!
//! `cargo run -p sim --example contact_sheet -- [folder] [seed] [family]` writes `sheet.png` (overview, wrist
//! and depth, one column per moment), `overview.png`, `wrist.png` and the two at 112 x 112, as a policy reads
//! them, enlarged again.

use std::path::Path;

use image::imageops::FilterType;
use image::{GrayImage, Luma, RgbImage};
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use sim::{Camera, Expert, Rendered, Status, Task, TaskFamily, TaskMonitor, World, render};

const COLUMNS: u32 = 6;

fn color_image(rendered: &Rendered) -> RgbImage {
    RgbImage::from_raw(
        rendered.width as u32,
        rendered.height as u32,
        rendered.rgb.clone(),
    )
    .unwrap_or_default()
}

fn depth(rendered: &Rendered) -> RgbImage {
    let mut gray = GrayImage::new(rendered.width as u32, rendered.height as u32);
    for (pixel, mm) in gray.pixels_mut().zip(rendered.depth_mm.iter().flatten()) {
        *pixel = Luma([255u8.saturating_sub((mm.saturating_sub(300) / 4).min(255) as u8)]);
    }
    image::DynamicImage::ImageLuma8(gray).to_rgb8()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments
        .next()
        .unwrap_or_else(|| "target/contact_sheet".to_owned());
    let seed: u64 = arguments
        .next()
        .and_then(|text| text.parse().ok())
        .unwrap_or(1);
    let family = arguments
        .next()
        .and_then(|name| TaskFamily::from_name(&name))
        .unwrap_or(TaskFamily::Place);
    let folder = Path::new(&folder);
    std::fs::create_dir_all(folder)?;

    let mut world = World::new(seed);
    let task = Task::sample(family, &world, &mut ChaCha8Rng::seed_from_u64(seed));
    let mut monitor = TaskMonitor::new(&task, &world);
    let mut moments = Vec::new();
    while world.tick() < 300 {
        if world.tick().is_multiple_of(3) {
            moments.push((
                render(&world, Camera::Overview),
                render(&world, Camera::Wrist),
            ));
        }
        if monitor.status() == Status::Succeeded {
            break;
        }
        for target in Expert::new().chunk(&world, &task, 1) {
            world.step(&target);
            monitor.update(&world);
        }
    }
    println!(
        "seed {seed}: {:?}: {:?} after {} ticks",
        task.canonical(),
        monitor.status(),
        world.tick()
    );

    let (width, height) = (sim::WIDTH_PIXELS as u32, sim::HEIGHT_PIXELS as u32);
    let mut sheet = RgbImage::new(width * COLUMNS, height * 3);
    let last = moments.len().saturating_sub(1);
    for column in 0..COLUMNS {
        let index = (last * column as usize)
            .div_ceil(COLUMNS as usize - 1)
            .min(last);
        let Some((overview, wrist)) = moments.get(index) else {
            continue;
        };
        for (row, image) in [color_image(overview), color_image(wrist), depth(overview)]
            .iter()
            .enumerate()
        {
            image::imageops::replace(
                &mut sheet,
                image,
                i64::from(column * width),
                row as i64 * i64::from(height),
            );
        }
    }
    sheet.save(folder.join("sheet.png"))?;
    if let Some((overview, wrist)) = moments.get(moments.len() / 2) {
        for (name, rendered) in [("overview", overview), ("wrist", wrist)] {
            let image = color_image(rendered);
            image.save(folder.join(format!("{name}.png")))?;
            // Nearest neighbors of a bilinear resize without smoothing: the worst case for thin features.
            let small = image::imageops::resize(&image, 112, 112, FilterType::Nearest);
            image::imageops::resize(&small, 560, 560, FilterType::Nearest)
                .save(folder.join(format!("{name}_112.png")))?;
        }
    }
    println!("wrote {}", folder.join("sheet.png").display());
    Ok(())
}
