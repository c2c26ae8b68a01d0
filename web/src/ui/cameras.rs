//! The robot's cameras: the first one large, the others and the depth image beside it.

use std::rc::Rc;

use leptos::html;
use leptos::prelude::*;
use protocol::viewer::RobotSummary;

use super::canvas_image::{Meter, Painter};
use super::state::Studio;
use crate::depth_colors::{FAR_METRES, NEAR_METRES, css_gradient};
use crate::format;

/// A picture older than this is said to be old.
const STALE_MILLIS: f64 = 1_000.0;

/// A canvas to be: which view of which robot, and what to call it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Place {
    robot_id: String,
    view: String,
    label: String,
    hook: String,
    is_depth: bool,
}

fn slots(robot: &RobotSummary) -> Vec<Place> {
    let slot = |view: String, label: String, hook: String, is_depth: bool| Place {
        robot_id: robot.robot_id.clone(),
        view,
        label,
        hook,
        is_depth,
    };
    let mut slots: Vec<Place> = robot
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
                fallback=|| view! { <div class="camera empty"><p>"No picture yet"</p></div> }
            >
                <For each=move || slots.get() key=Clone::clone let:place>
                    <CameraView place/>
                </For>
            </Show>
        </section>
    }
}

#[component]
fn CameraView(place: Place) -> impl IntoView {
    let studio = expect_context::<Studio>();
    let canvas = NodeRef::<html::Canvas>::new();
    let meter = RwSignal::new(Meter::default());
    let (view_name, aged) = (place.view.clone(), place.view.clone());
    Effect::new(move |_| {
        if let Some(painter) = canvas.get().and_then(|canvas| Painter::new(canvas, meter)) {
            let view_name = view_name.clone();
            studio.painters.update_value(|painters| {
                painters.insert(view_name, Rc::new(painter));
            });
        }
    });
    // Of the newest picture, once it is stale; the meter is read too seldom for that.
    let age = Memo::new(move |_| {
        let now = studio.now_millis.get();
        let shown_at = studio.painters.with_value(|painters| {
            painters
                .get(&aged)
                .map_or(0.0, |painter| painter.shown_at_millis())
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
            "no new picture".to_owned()
        } else {
            format!(
                "{}×{}, {:.0} fps",
                meter.width, meter.height, meter.frames_per_second
            )
        }
    };
    let legend = place.is_depth.then(|| {
        view! {
            <div class="legend" aria-hidden="true">
                <span>{format!("{NEAR_METRES} m")}</span>
                <span class="scale" style=format!("background: {}", css_gradient())></span>
                <span>{format!("{FAR_METRES} m")}</span>
            </div>
        }
    });
    let subject = if place.is_depth {
        format!("{}: near is bright, far is dark", place.label)
    } else {
        format!("{} camera", place.label)
    };
    let described = move || match age.get() {
        Some(age) => format!("{subject}, {age}"),
        None => subject.clone(),
    };
    view! {
        <figure class="camera" class:stale=is_stale class:depth=place.is_depth>
            <canvas
                node_ref=canvas
                width="320"
                height="240"
                role="img"
                aria-label=described
                data-testid=place.hook
                data-frames="0"
            ></canvas>
            <p class="age num" aria-hidden="true" hidden=move || !is_stale.get()>
                {age}
            </p>
            <figcaption>
                <span class="name">{place.label}</span>
                <span class="rate num">{rate}</span>
                {legend}
            </figcaption>
        </figure>
    }
}
