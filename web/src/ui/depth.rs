//! Depth reasoning of a decision: the image that was compared, and the depth map that the policy generated.
//!
//! Both show the same cells. On the camera's image the replayed ones are dimmed; on the depth map every cell can be
//! pointed at and reached with the arrow keys.

mod cells;
mod table;

use std::rc::Rc;

use leptos::html;
use leptos::prelude::*;
use protocol::View;
use protocol::depth::{DepthDescription, DepthReasoning};
use protocol::worker::{ComputeKind, DecoderOutcome, DrawOutcome};

use super::canvas_image::{CanvasImage, FrameMeter};
use super::state::Studio;
use super::worker::requests;
use cells::Cells;
use table::DepthTable;

use crate::compute::kind_phrase;
use crate::depth_colors::{DepthColors, css_gradient};
use crate::{depth, format};

/// State that the parts of the block share.
#[derive(Clone, Copy)]
pub(super) struct Shared {
    pub(super) studio: Studio,
    pub(super) depth: Memo<Option<DepthReasoning>>,
    /// Numbers of columns and rows.
    pub(super) shape: Memo<(usize, usize)>,
    /// The cell under the pointer.
    pub(super) hovered: RwSignal<Option<usize>>,
    /// The selected cell.
    pub(super) chosen: RwSignal<Option<usize>>,
}

impl Shared {
    fn marked(self) -> Option<usize> {
        self.hovered.get().or_else(|| self.chosen.get())
    }

    pub(super) fn cell(self, index: usize) -> Option<depth::Cell> {
        self.depth.with(|d| depth::cell(d.as_ref()?, index))
    }

    pub(super) fn threshold(self) -> f32 {
        self.depth
            .with(|depth| depth.as_ref().map_or(0.0, |depth| depth.threshold))
    }
}

/// The depth map as it is drawn.
#[derive(Debug, Clone, PartialEq)]
struct Drawn {
    view: View,
    /// Device and duration of the decoder; absent where the codes themselves are shown.
    by_decoder: Option<(ComputeKind, u64)>,
    /// The reason that it is not a decoded image.
    instead: String,
}

#[component]
pub(crate) fn DepthBlock() -> impl IntoView {
    let studio = expect_context::<Studio>();
    let depth = Memo::new(move |_| {
        studio
            .decisions
            .with(|decisions| decisions.shown()?.trace.depth.as_deref().cloned())
    });
    let has_depth = Memo::new(move |_| depth.with(Option::is_some));
    let shape = Memo::new(move |_| {
        depth.with(|depth| {
            depth
                .as_ref()
                .map_or((1, 0), |depth| (depth.columns as usize, depth.rows()))
        })
    });
    let shared = Shared {
        studio,
        depth,
        shape,
        hovered: RwSignal::new(None),
        chosen: RwSignal::new(None),
    };
    view! {
        <Show when=move || has_depth.get()>
            <Block shared/>
        </Show>
    }
}

#[component]
fn Block(shared: Shared) -> impl IntoView {
    let studio = shared.studio;
    let of_depth = move |text: fn(&DepthReasoning) -> String| {
        move || {
            shared
                .depth
                .with(|depth| depth.as_ref().map(text).unwrap_or_default())
        }
    };
    let counts = Memo::new(move |_| of_depth(depth::counts)());
    let written = move || of_depth(|depth| depth.written().to_string())();
    let camera = Memo::new(move |_| of_depth(|depth| depth.camera.clone())());
    let reason = move || {
        let welcome = studio.welcome.get();
        let mode = welcome.and_then(|w| w.policy.depth).map(|d| d.mode);
        shared.depth.with(|depth| {
            let depth = depth.as_ref()?;
            Some(depth::reason(depth, mode.unwrap_or_default()))
        })
    };
    let dimmed = of_depth(|depth| {
        let is_whole = depth.written() == depth.codes.len();
        if is_whole {
            ""
        } else {
            "replayed cells dimmed"
        }
        .to_owned()
    });
    let drawn = drawn(shared);
    let source = move || match drawn.with(|drawn| drawn.as_ref().map(|d| d.by_decoder.is_some())) {
        Some(true) => "decoder",
        Some(false) => "codes",
        None => "none",
    };
    let computed_on = move || {
        drawn.with(|drawn| {
            let (kind, _) = drawn.as_ref()?.by_decoder?;
            Some(super::settings::compute_name(kind))
        })
    };
    // The network sees square images; the page shows them in the camera's proportions.
    let proportions = move || {
        let name = camera.get();
        let robot = studio.robot();
        let camera = robot.and_then(|robot| robot.cameras.into_iter().find(|c| c.name == name));
        camera.map_or_else(
            || "aspect-ratio: 1".to_owned(),
            |camera| format!("aspect-ratio: {} / {}", camera.width, camera.height),
        )
    };
    let frame = Memo::new(move |_| shared.depth.with(|depth| depth.as_ref()?.frame.clone()));
    let image = Memo::new(move |_| drawn.with(|drawn| drawn.as_ref().map(|d| d.view.clone())));
    let has_frame = Memo::new(move |_| frame.with(Option::is_some));
    view! {
        <div
            class="block depth-block"
            data-testid="depth"
            data-source=source
            data-computed-on=computed_on
            data-regenerated=written
        >
            <h3>
                "What it saw in depth"
                <span class="quiet num" data-testid="depth-counts">{move || counts.get()}</span>
            </h3>
            <div class="depth-pair">
                <Show when=move || has_frame.get()>
                    <figure class="depth-figure">
                        <div class="depth-stage" style=proportions>
                            <Canvas view=frame hook="depth-frame" label=Signal::derive(move || {
                                format!(
                                    "What the {} camera saw. {}.",
                                    format::plain_name(&camera.get()),
                                    counts.get()
                                )
                            })/>
                            <Outline shared dims=true/>
                        </div>
                        <figcaption>
                            <span>{move || format::plain_name(&camera.get())}</span>
                            <span class="quiet">{dimmed}</span>
                        </figcaption>
                    </figure>
                </Show>
                <figure class="depth-figure">
                    <div class="depth-stage" class:codes=move || source() == "codes" style=proportions>
                        <Canvas view=image hook="depth-picture" label=Signal::derive(String::new)/>
                        <Outline shared dims=false/>
                        <Cells shared/>
                    </div>
                    <figcaption>
                        <Caption shared drawn/>
                    </figcaption>
                </figure>
            </div>
            <About shared/>
            <p class="quiet">{reason}</p>
            <DepthTable depth=shared.depth/>
        </div>
    }
}

/// The decoded image if there is one, else the codes.
fn drawn(shared: Shared) -> Memo<Option<Drawn>> {
    let studio = shared.studio;
    let described = Memo::new(move |_| {
        studio
            .welcome
            .with(|welcome| welcome.as_ref().and_then(|w| w.policy.depth))
    });
    let can_draw = Memo::new(move |_| studio.compute.with(crate::compute::Compute::can_draw));
    let decoder = Memo::new(move |_| studio.compute.with(|compute| compute.depth_decoder.clone()));
    Effect::new(move |_| {
        // Also after an answer: one request is in flight at a time.
        studio.depth_images.track();
        if !can_draw.get() {
            return;
        }
        shared.depth.with(|depth| {
            if let Some(depth) = depth
                && depth.rows() * depth.columns as usize == depth.codes.len()
            {
                requests::draw(studio, &depth.codes, depth.rows() as u32, depth.columns);
            }
        });
    });
    let colors = DepthColors::default();
    Memo::new(move |before: Option<&Option<Drawn>>| {
        shared.depth.with(|depth| {
            let depth = depth.as_ref()?;
            let codes = |instead: String| {
                let known = described.get().map_or(0, |described| described.codes);
                Some(Drawn {
                    view: depth::paint_codes(depth, known, &colors),
                    by_decoder: None,
                    instead,
                })
            };
            let outcome = studio
                .depth_images
                .with(|depth_images| depth_images.outcome_for(&depth.codes).cloned());
            match outcome {
                Some(DrawOutcome::Drawn(drawing)) => Some(Drawn {
                    view: depth::paint(&drawing, &colors),
                    by_decoder: Some((drawing.computed_on, drawing.micros)),
                    instead: String::new(),
                }),
                Some(DrawOutcome::Failed { reason }) => codes(reason),
                // The previous image remains until the next one is decoded.
                None if can_draw.get() => match before.and_then(Option::as_ref) {
                    Some(before) if before.by_decoder.is_some() => Some(before.clone()),
                    _ => codes(String::new()),
                },
                None => codes(waiting_for(described.get(), decoder.get())),
            }
        })
    })
}

/// The reason that there is no decoded image, or not yet.
fn waiting_for(described: Option<DepthDescription>, decoder: Option<DecoderOutcome>) -> String {
    if !described.is_some_and(|described| described.has_decoder) {
        return "The studio has no depth decoder for this policy.".to_owned();
    }
    match decoder {
        Some(DecoderOutcome::Failed { reason }) => format!("The decoder cannot be used: {reason}."),
        _ => "The decoder is being loaded.".to_owned(),
    }
}

#[component]
fn Canvas(view: Memo<Option<View>>, hook: &'static str, label: Signal<String>) -> impl IntoView {
    let canvas = NodeRef::<html::Canvas>::new();
    let meter = RwSignal::new(FrameMeter::default());
    let canvas_image = StoredValue::new_local(None::<Rc<CanvasImage>>);
    Effect::new(move |_| {
        let Some(canvas) = canvas.get() else {
            return;
        };
        if canvas_image.with_value(Option::is_none) {
            canvas_image.set_value(CanvasImage::new(canvas, meter).map(Rc::new));
        }
        if let (Some(canvas_image), Some(view)) = (canvas_image.get_value(), view.get()) {
            CanvasImage::show(&canvas_image, view);
        }
    });
    let is_described = move || label.with(|label| !label.is_empty());
    view! {
        <canvas
            node_ref=canvas
            width="10"
            height="10"
            role=move || is_described().then_some("img")
            aria-label=move || is_described().then(|| label.get())
            aria-hidden=move || (!is_described()).then_some("true")
            data-testid=hook
            data-frames="0"
        ></canvas>
    }
}

/// Outlines of the regenerated cells and of the marked cell.
#[component]
fn Outline(shared: Shared, dims: bool) -> impl IntoView {
    let path = move |draw: fn(&DepthReasoning) -> String| {
        Memo::new(move |_| {
            shared
                .depth
                .with(|depth| depth.as_ref().map(draw).unwrap_or_default())
        })
    };
    let outline = path(depth::outline);
    let replayed = path(depth::replayed);
    let view_box = move || {
        let (columns, rows) = shared.shape.get();
        format!("0 0 {columns} {rows}")
    };
    let marked = move || {
        let cell = shared.cell(shared.marked()?)?;
        let (x, y) = (cell.column.to_string(), cell.row.to_string());
        Some(view! {
            <rect class="casing" x=x.clone() y=y.clone() width="1" height="1"></rect>
            <rect class="marked" x=x y=y width="1" height="1"></rect>
        })
    };
    view! {
        <svg class="depth-outline" viewBox=view_box preserveAspectRatio="none" aria-hidden="true">
            {dims.then(|| view! { <path class="replayed" d=move || replayed.get()></path> })}
            <path class="casing" d=move || outline.get()></path>
            <path class="line" d=move || outline.get()></path>
            {marked}
        </svg>
    }
}

/// Legend of the colors, and the device that computed them.
#[component]
fn Caption(shared: Shared, drawn: Memo<Option<Drawn>>) -> impl IntoView {
    let known = move || {
        let welcome = shared.studio.welcome.get();
        welcome
            .and_then(|w| w.policy.depth)
            .map_or(0, |depth| depth.codes.saturating_sub(1))
    };
    move || {
        drawn.with(|drawn| {
            let drawn = drawn.as_ref()?;
            let (ends, text) = match drawn.by_decoder {
                Some((kind, micros)) => (
                    ("near".to_owned(), "far".to_owned()),
                    format!(
                        "Decoded in this tab on {} in {}",
                        kind_phrase(kind),
                        format::duration(micros)
                    ),
                ),
                None => (
                    ("0".to_owned(), known().to_string()),
                    format!(
                        "The codes themselves, colored by number. {}",
                        drawn.instead
                    ),
                ),
            };
            Some(view! {
                <span>{if drawn.by_decoder.is_some() { "Depth" } else { "Depth codes" }}</span>
                <span class="depth-scale quiet num">
                    {ends.0}
                    <span class="scale" aria-hidden="true" style=format!("background: {}", css_gradient())></span>
                    {ends.1}
                </span>
                <span class="quiet depth-who" data-testid="depth-who">{text}</span>
            })
        })
    }
}

/// Description of the marked cell.
#[component]
fn About(shared: Shared) -> impl IntoView {
    let text = move || {
        let cell = shared.marked().and_then(|index| shared.cell(index));
        cell.map_or_else(
            || "Point at a cell, or choose one with the arrow keys.".to_owned(),
            |cell| depth::cell_text(&cell, shared.threshold()),
        )
    };
    let fate = move || {
        let cell = shared.cell(shared.marked()?)?;
        Some(if cell.regenerated {
            "regenerated"
        } else {
            "replayed"
        })
    };
    view! {
        <p class="depth-about num" data-testid="depth-about" data-fate=fate>
            <span class="depth-key" aria-hidden="true"></span>
            {text}
        </p>
    }
}
