//! The course of every joint: the whole chunk faint, the best that the shown tokens give strong.

use leptos::prelude::*;

use super::wrote::Wrote;
use crate::figures;
use crate::plot::{Frame, HEIGHT, Point, WIDTH};
use crate::unfold::Drawn;
use crate::units::column;

/// Smallest span in robot units that is drawn, so that a resting joint looks at rest.
const LEAST_RANGE: f32 = 40.0;

/// One joint, in drawing units.
#[derive(Debug, Clone, Default, PartialEq)]
struct Course {
    whole: String,
    now: String,
    ticks: Vec<(f32, String)>,
    /// How far the shown tokens are from the whole, in robot units; absent before the joint's mean arrived.
    gap: Option<f32>,
}

#[component]
pub(crate) fn Courses() -> impl IntoView {
    let wrote = expect_context::<Wrote>();
    let dims = Memo::new(move |_| {
        wrote
            .drawn
            .with(|drawn| drawn.whole.as_ref().map_or(0, |whole| whole.dims as usize))
    });
    let lasts = move || {
        let rows = wrote
            .drawn
            .with(|drawn| drawn.whole.as_ref().map_or(0, |whole| whole.rows));
        format!(
            "{:.2} s at {:.0} Hz",
            rows as f32 / wrote.rate_hz.get().max(0.1),
            wrote.rate_hz.get()
        )
    };
    let actions = move || {
        wrote.drawn.with(|drawn| {
            let values = drawn.now.as_ref().map(|now| {
                let texts: Vec<String> = now.actions.iter().map(f32::to_string).collect();
                texts.join(",")
            });
            format!("[{}]", values.unwrap_or_default())
        })
    };
    let each = move || (0..dims.get()).collect::<Vec<_>>();
    view! {
        <figure class="picture">
            <figcaption>
                "Motion" <span class="quiet num">{lasts}</span>
                <span class="key" aria-hidden="true">
                    <span class="swatch whole"></span>"all tokens"
                    <span class="swatch decoded-line"></span>"shown tokens"
                </span>
            </figcaption>
            <div class="courses" data-testid="unfold-course" data-actions=actions>
                <For each=each key=|dim| *dim let(dim)>
                    {joint(wrote, dim)}
                </For>
            </div>
        </figure>
    }
}

fn joint(wrote: Wrote, dim: usize) -> impl IntoView {
    let course = Memo::new(move |_| wrote.drawn.with(|drawn| course(drawn, dim)));
    let is_marked = move || {
        let Some(index) = wrote.marked() else {
            return false;
        };
        wrote.drawn.with(|drawn| {
            let (spans, Some(whole)) = (drawn.spans(), drawn.whole.as_ref()) else {
                return false;
            };
            let dims = whole.dims.max(1) as usize;
            spans.get(index).cloned().is_some_and(|mut span| {
                span.any(|at| at % dims == dim && whole.coefficients.get(at) != Some(&0))
            })
        })
    };
    let gap = move || match course.with(|course| course.gap) {
        None => "not yet".to_owned(),
        // Nobody knows yet how far a stream has to go.
        Some(_) if !wrote.drawn.with(|drawn| drawn.ended) => "so far".to_owned(),
        Some(gap) if gap < 0.05 => "arrived".to_owned(),
        Some(gap) => format!("± {}", figures::joint_value(gap, &wrote.unit(dim))),
    };
    let part = move |pick: fn(&Course) -> &String| move || course.with(|c| pick(c).clone());
    let about = move || format!("{}: {}", wrote.name(dim), gap());
    view! {
        <figure class="plot course" class:marked=is_marked>
            <figcaption>
                <span>{move || wrote.name(dim)}</span>
                <span class="num quiet">{gap}</span>
            </figcaption>
            <svg viewBox=format!("0 0 {WIDTH} {HEIGHT}") preserveAspectRatio="none" role="img" aria-label=about>
                {move || course.with(|c| c.ticks.iter().map(|(y, _)| {
                    view! { <line class="grid" x1="0" x2={WIDTH} y1={*y} y2={*y}/> }
                }).collect_view())}
                <path class="whole" d={part(|c| &c.whole)}/>
                <path class="now-known" d={part(|c| &c.now)}/>
            </svg>
            <div class="ticks num" aria-hidden="true">
                {move || course.with(|c| c.ticks.iter().map(|(y, text)| {
                    let top = format!("top: {:.1}%", y / HEIGHT * 100.0);
                    view! { <span style=top>{text.clone()}</span> }
                }).collect_view())}
            </div>
        </figure>
    }
}

fn course(drawn: &Drawn, dim: usize) -> Course {
    let Some(whole) = drawn.whole.as_deref() else {
        return Course::default();
    };
    let dims = whole.dims.max(1) as usize;
    // A joint whose mean has not arrived would be drawn at its mid-range, which means nothing.
    let has_mean = drawn.known() > dim;
    let points = |values: &[f32]| -> Vec<Point> {
        column(values, dims, dim)
            .enumerate()
            .map(|(row, value)| Point {
                at_micros: row as i64,
                value,
            })
            .collect()
    };
    let all = points(&whole.actions);
    let now = drawn
        .now
        .as_ref()
        .filter(|_| has_mean)
        .map(|now| points(&now.actions))
        .unwrap_or_default();
    let last = i64::from(whole.rows).max(2) - 1;
    // The frame belongs to the whole chunk, or it would jump while the tokens come.
    let framed = if drawn.ended { &all } else { &now };
    let is_framed = !framed.is_empty();
    let frame = Frame::around(0, last, framed.iter().map(|p| p.value), LEAST_RANGE);
    let gap = now
        .iter()
        .zip(&all)
        .map(|(a, b)| (a.value - b.value).abs())
        .fold(None, |most: Option<f32>, gap| {
            Some(most.map_or(gap, |most| most.max(gap)))
        });
    Course {
        whole: if drawn.ended {
            frame.path(all.into_iter(), i64::MAX)
        } else {
            String::new()
        },
        now: frame.path(now.into_iter(), i64::MAX),
        ticks: frame
            .ticks()
            .into_iter()
            .filter(|_| is_framed)
            .map(|value| {
                let text = format!("{value:.0}").replace('-', "\u{2212}");
                (frame.y(value), text)
            })
            .collect(),
        gap,
    }
}
