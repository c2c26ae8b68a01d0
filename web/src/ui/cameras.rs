//! Images of the robot's cameras: the first one large, the others and the depth image beside it.

use std::rc::Rc;

use leptos::html;
use leptos::prelude::*;
use protocol::viewer::RobotDetails;

use super::canvas_image::{CanvasImage, FrameMeter};
use super::state::Studio;
use crate::depth_colors::{FAR_METERS, NEAR_METERS, css_gradient};
use crate::format;

/// Age from which on an image is shown as stale.
const STALE_MILLIS: f64 = 1_000.0;

/// A canvas for a view of a robot.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct ViewSlot {
    robot_id: String,
    view: String,
    label: String,
    hook: String,
    is_depth: bool,
}

fn slots(robot: &RobotDetails) -> Vec<ViewSlot> {
    let slot = |view: String, label: String, hook: String, is_depth: bool| ViewSlot {
        robot_id: robot.robot_id.clone(),
        view,
        label,
        hook,
        is_depth,
    };
    let mut slots: Vec<ViewSlot> = robot
        .cameras
        .iter()
        .map(|camera| {
            let name = camera.name.clone();
            slot(
                name.clone(),
                format::plain_name(&name),
                format!("view-{name}"),
                false,
            )
        })
        .collect();
    for (index, camera) in robot.cameras.iter().filter(|c| c.has_depth).enumerate() {
        let view = format!("{}.depth", camera.name);
        let hook = if index == 0 {
            "view-depth".to_owned()
        } else {
            format!("view-{view}")
        };
        let label = format!("{} depth", format::plain_name(&camera.name));
        slots.push(slot(view, label, hook, true));
    }
    slots
}

#[component]
pub(crate) fn Cameras() -> impl IntoView {
    let studio = expect_context::<Studio>();
    let slots = Memo::new(move |_| {
        studio
            .robot()
            .map(|robot| slots(&robot))
            .unwrap_or_default()
    });
    view! {
        <section class="cameras" aria-label="Cameras">
            <Show
                when=move || !slots.with(Vec::is_empty)
                fallback=|| view! { <div class="camera empty"><p>"No image yet"</p></div> }
            >
                <For each=move || slots.get() key=Clone::clone let:slot>
                    <CameraView view_slot=slot/>
                </For>
            </Show>
        </section>
    }
}

#[component]
fn CameraView(view_slot: ViewSlot) -> impl IntoView {
    let studio = expect_context::<Studio>();
    let canvas = NodeRef::<html::Canvas>::new();
    let meter = RwSignal::new(FrameMeter::default());
    let (view_name, aged) = (view_slot.view.clone(), view_slot.view.clone());
    Effect::new(move |_| {
        if let Some(canvas_image) = canvas
            .get()
            .and_then(|canvas| CanvasImage::new(canvas, meter))
        {
            let view_name = view_name.clone();
            studio.canvas_images.update_value(|canvas_images| {
                canvas_images.insert(view_name, Rc::new(canvas_image));
            });
        }
    });
    // Age of the newest image once it is stale; the meter is updated too rarely for that.
    let age = Memo::new(move |_| {
        let now = studio.now_millis.get();
        let shown_at = studio.canvas_images.with_value(|canvas_images| {
            canvas_images
                .get(&aged)
                .map_or(0.0, |canvas_image| canvas_image.shown_at_millis())
        });
        let age_millis = now - shown_at;
        (shown_at > 0.0 && age_millis > STALE_MILLIS).then(|| format::age(age_millis))
    });
    let is_stale = Memo::new(move |_| age.with(Option::is_some));
    let rate = move || {
        let meter = meter.get();
        if meter.shown_at_millis == 0.0 {
            "waiting".to_owned()
        } else if is_stale.get() {
            "no new image".to_owned()
        } else {
            format!(
                "{}×{}, {:.0} fps",
                meter.width, meter.height, meter.frames_per_second
            )
        }
    };
    let legend = view_slot.is_depth.then(|| {
        view! {
            <div class="legend" aria-hidden="true">
                <span>{format!("{NEAR_METERS} m")}</span>
                <span class="scale" style=format!("background: {}", css_gradient())></span>
                <span>{format!("{FAR_METERS} m")}</span>
            </div>
        }
    });
    let subject = if view_slot.is_depth {
        format!("{}: near is bright, far is dark", view_slot.label)
    } else {
        format!("{} camera", view_slot.label)
    };
    let described = move || match age.get() {
        Some(age) => format!("{subject}, {age}"),
        None => subject.clone(),
    };
    view! {
        <figure class="camera" class:stale=is_stale class:depth=view_slot.is_depth>
            <canvas
                node_ref=canvas
                width="320"
                height="240"
                role="img"
                aria-label=described
                data-testid=view_slot.hook
                data-frames="0"
            ></canvas>
            <p class="age num" aria-hidden="true" hidden=move || !is_stale.get()>
                {age}
            </p>
            <figcaption>
                <span class="name">{view_slot.label}</span>
                <span class="rate num">{rate}</span>
                {legend}
            </figcaption>
        </figure>
    }
}
