//! Plot of every joint: measured, commanded and planned positions.

use leptos::prelude::*;
use protocol::JointDescription;
use protocol::worker::DecodeOutcome;

use super::state::Studio;
use crate::decisions::Decision;
use crate::format;
use crate::joint_history::History;
use crate::plot::{HEIGHT, PlotFrame, Point, WIDTH};
use crate::units::{column, to_robot_units};

/// Past part of a live plot's time axis.
const PAST_MICROS: i64 = 4_000_000;
/// Future part of a live plot's time axis.
const FUTURE_MICROS: i64 = 1_200_000;
/// Time shown around a decision that is kept in view.
const AROUND_MICROS: i64 = 1_500_000;
/// Largest gap between states that are joined by a line.
const GAP_MICROS: i64 = 400_000;

/// Number of decoded values that are marked: enough to see that they lie on the plan without hiding it.
const DOTS: usize = 8;

/// Plot of one joint, in drawing units.
#[derive(Debug, Clone, Default, PartialEq)]
struct Drawing {
    measured: String,
    commanded: String,
    planned: String,
    decoded: String,
    now_x: Option<f32>,
    ticks: Vec<(f32, String)>,
}

#[component]
pub(crate) fn JointPlots() -> impl IntoView {
    let studio = expect_context::<Studio>();
    let joints = Memo::new(move |_| studio.robot().map(|robot| robot.joints).unwrap_or_default());
    let measured = move || {
        studio.newest.with(|newest| {
            let values = newest
                .as_ref()
                .map(|state| state.state.as_slice())
                .unwrap_or_default();
            let values: Vec<String> = values.iter().map(|value| format!("{value:.3}")).collect();
            format!("[{}]", values.join(","))
        })
    };
    view! {
        <div class="block" hidden=move || joints.with(Vec::is_empty)>
            <h3>
                "Where the joints go"
                <span class="key" aria-hidden="true">
                    <span class="swatch measured"></span>"measured"
                    <span class="swatch commanded"></span>"commanded"
                    <span class="swatch planned"></span>"plan"
                    <span class="swatch decoded"></span>"decoded here"
                </span>
            </h3>
            <div class="plots" data-testid="chunk-plot">
                <div class="plots-grid" data-testid="joint-state" data-state=measured>
                    <For
                        each=move || joints.get().into_iter().enumerate()
                        key=|(index, joint)| (*index, joint.name.clone())
                        let((index, joint))
                    >
                        <JointPlot index joint/>
                    </For>
                </div>
            </div>
        </div>
    }
}

#[component]
fn JointPlot(index: usize, joint: JointDescription) -> impl IntoView {
    let studio = expect_context::<Studio>();
    let range = joint.max - joint.min;
    let unit = joint.unit.clone();
    let name = format::plain_name(&joint.name);
    let drawing = Memo::new(move |_| {
        studio.redraw.track();
        let rate_hz = studio.robot().map_or(30.0, |robot| robot.control_rate_hz);
        let action = studio.welcome.with(|welcome| {
            welcome
                .as_ref()
                .and_then(|w| w.policy.action.get(index).cloned())
        });
        studio.history.with_value(|history| {
            studio.decisions.with(|decisions| {
                let source = Source {
                    history,
                    decision: decisions.shown(),
                    is_pinned: decisions.is_pinned(),
                    row_micros: 1e6 / f64::from(rate_hz.max(0.1)),
                };
                source.draw(index, range, |value| {
                    action
                        .as_ref()
                        .map_or(value, |dimension| to_robot_units(value, dimension))
                })
            })
        })
    });
    let value = {
        let unit = unit.clone();
        move || {
            studio.newest.with(|newest| {
                newest
                    .as_ref()
                    .and_then(|state| state.state.get(index))
                    .map_or_else(
                        || "–".to_owned(),
                        |value| format::joint_value(*value, &unit),
                    )
            })
        }
    };
    let part = move |pick: fn(&Drawing) -> &String| move || drawing.with(|d| pick(d).clone());
    view! {
        <figure class="plot">
            <figcaption>
                <span>{name.clone()}</span>
                <span class="num value">{value}</span>
            </figcaption>
            <svg
                viewBox=format!("0 0 {WIDTH} {HEIGHT}")
                preserveAspectRatio="none"
                role="img"
                aria-label=format!("{name}: measured, commanded and planned positions over time")
            >
                {move || drawing.with(|d| d.ticks.iter().map(|(y, _)| {
                    view! { <line class="grid" x1="0" x2={WIDTH} y1={*y} y2={*y}/> }
                }).collect_view())}
                {move || drawing.with(|d| d.now_x).map(|x| {
                    view! { <line class="now" x1={x} x2={x} y1="0" y2={HEIGHT}/> }
                })}
                <path class="measured" d={part(|d| &d.measured)}/>
                <path class="commanded" d={part(|d| &d.commanded)}/>
                <path class="planned" d={part(|d| &d.planned)}/>
                <path class="decoded" d={part(|d| &d.decoded)}/>
            </svg>
            <div class="ticks num" aria-hidden="true">
                {move || drawing.with(|d| d.ticks.iter().map(|(y, text)| {
                    let top = format!("top: {:.1}%", y / HEIGHT * 100.0);
                    view! { <span style=top>{text.clone()}</span> }
                }).collect_view())}
            </div>
        </figure>
    }
}

/// Data of a plot.
struct Source<'a> {
    history: &'a History,
    decision: Option<&'a Decision>,
    is_pinned: bool,
    row_micros: f64,
}

impl Source<'_> {
    fn draw(&self, joint: usize, range: f32, robot_units: impl Fn(f32) -> f32) -> Drawing {
        let Some(newest) = self.history.newest() else {
            return Drawing::default();
        };
        let now = newest.captured_at_micros as i64;
        let starts_at = self
            .decision
            .and_then(|decision| self.history.time_of(decision.trace.observation_sequence));
        let (from, to) = match starts_at.filter(|_| self.is_pinned) {
            Some(start) => (start - AROUND_MICROS, start + FUTURE_MICROS + AROUND_MICROS),
            None => (now - PAST_MICROS, now + FUTURE_MICROS),
        };
        let of_state = |pick: fn(&protocol::viewer::RobotState) -> &Vec<f32>| -> Vec<Point> {
            self.history
                .between(from, to)
                .filter_map(|sample| {
                    let value = pick(sample).get(joint).copied()?;
                    Some(Point {
                        at_micros: sample.captured_at_micros as i64,
                        value,
                    })
                })
                .collect()
        };
        let measured = of_state(|sample| &sample.state);
        let commanded = of_state(|sample| &sample.commanded);
        let planned = self.rows(starts_at, joint, |decision| Some(&decision.trace.actions));
        let mut decoded = self.rows(starts_at, joint, |decision| match &decision.decode {
            Some(DecodeOutcome::Compared(found)) => Some(&found.chunk_normalised),
            _ => None,
        });
        for point in &mut decoded {
            point.value = robot_units(point.value);
        }
        let every = [&measured, &commanded, &planned];
        let values = every.into_iter().flatten().map(|point| point.value);
        let frame = PlotFrame::containing(from, to, values, range);
        Drawing {
            measured: frame.path(measured.into_iter(), GAP_MICROS),
            commanded: frame.path(commanded.into_iter(), GAP_MICROS),
            planned: frame.path(planned.into_iter(), GAP_MICROS),
            decoded: dots(&frame, &decoded),
            now_x: (from..=to).contains(&now).then(|| frame.x(now)),
            ticks: frame
                .ticks()
                .into_iter()
                .map(|value| {
                    (
                        frame.y(value),
                        format!("{value:.0}").replace('-', "\u{2212}"),
                    )
                })
                .collect(),
        }
    }

    /// A joint's column of a chunk of the decision, by the robot's clock.
    fn rows(
        &self,
        starts_at: Option<i64>,
        joint: usize,
        chunk: impl Fn(&Decision) -> Option<&Vec<f32>>,
    ) -> Vec<Point> {
        let (Some(start), Some(decision)) = (starts_at, self.decision) else {
            return vec![];
        };
        let dims = decision.trace.dims as usize;
        let values = chunk(decision).map(Vec::as_slice).unwrap_or_default();
        column(values, dims, joint)
            .enumerate()
            .map(|(row, value)| Point {
                at_micros: start + (row as f64 * self.row_micros) as i64,
                value,
            })
            .collect()
    }
}

/// A few values as dots: a path of zero-length strokes with round caps.
fn dots(frame: &PlotFrame, points: &[Point]) -> String {
    points
        .iter()
        .step_by(points.len().div_ceil(DOTS).max(1))
        .map(|point| {
            format!(
                "M{:.1} {:.1}h0",
                frame.x(point.at_micros),
                frame.y(point.value)
            )
        })
        .collect()
}
