//! The answer while it is generated, and its marks as a list, which is readable without the image and distinguishes
//! marks.

use leptos::prelude::*;
use protocol::scene::SceneMark;

use super::stop;
use crate::scene_question::{MARK_COLORS, SceneQuestion, mark_name, mark_position};
use crate::ui::state::Studio;

#[component]
pub(super) fn AnswerText(looked_at: RwSignal<Option<usize>>) -> impl IntoView {
    let studio = expect_context::<Studio>();
    let state = Memo::new(move |_| studio.scene_question.with(SceneQuestion::state));
    let question = move || {
        studio
            .scene_question
            .with(|scene_question| scene_question.question().to_owned())
    };
    let plain = Memo::new(move |_| {
        studio.scene_question.with(|scene_question| {
            let answer = scene_question.answer();
            answer
                .map(|answer| answer.plain.clone())
                .unwrap_or_default()
        })
    });
    let note = move || studio.scene_question.with(SceneQuestion::note);
    // Text that changes many times a second is announced once, when it is complete.
    let read_aloud = move || (!state.get().is_open()).then(|| plain.get());
    view! {
        <div class="answer" data-testid="ask-answer" data-state=move || state.get().name()>
            <p class="asked">{question}</p>
            <p class="words" data-testid="ask-text">{move || plain.get()}</p>
            <p class="visually-hidden" aria-live="polite">{read_aloud}</p>
            <div class="row">
                <p class="quiet num grow" role="status" data-testid="ask-note">{note}</p>
                <Show when=move || state.get().is_open()>
                    <button
                        type="button"
                        class="button"
                        data-testid="ask-stop"
                        on:click=move |_| stop(studio)
                    >"Stop answering"</button>
                </Show>
            </div>
            <Marks looked_at/>
        </div>
    }
}

#[component]
fn Marks(looked_at: RwSignal<Option<usize>>) -> impl IntoView {
    let studio = expect_context::<Studio>();
    let marks = Memo::new(move |_| studio.scene_question.with(SceneQuestion::all_marks));
    let written = Memo::new(move |_| {
        studio.scene_question.with(|scene_question| {
            let answer = scene_question.answer();
            answer.map(|answer| answer.text.clone()).unwrap_or_default()
        })
    });
    // The marks belong to one answer.
    Effect::new(move |_| {
        marks.track();
        looked_at.set(None);
    });
    let items = move || {
        let all = marks.get();
        let several = studio
            .scene_question
            .with(|scene_question| scene_question.views().len() > 1);
        let items = all.iter().enumerate();
        items
            .map(|(index, mark)| item(index, mark, mark_name(mark, &all), several, looked_at))
            .collect_view()
    };
    view! {
        <Show when=move || !marks.with(Vec::is_empty)>
            <ul class="spots" aria-label="Marks of the answer" data-testid="ask-marks">{items}</ul>
            <details>
                <summary>"Raw output of the model"</summary>
                <p class="written" data-testid="ask-written">{move || written.get()}</p>
            </details>
        </Show>
    }
}

/// An item of the list of marks: pointed at, focused or pressed, it highlights its mark in the image.
fn item(
    index: usize,
    mark: &SceneMark,
    name: String,
    several: bool,
    looked_at: RwSignal<Option<usize>>,
) -> impl IntoView + use<> {
    let look = move || looked_at.set(Some(index));
    let look_away = move || {
        if looked_at.get_untracked() == Some(index) {
            looked_at.set(None);
        }
    };
    let color = format!("--mark: var(--mark-{})", mark.group % MARK_COLORS);
    view! {
        <li>
            <button
                type="button"
                class="spot-item"
                style=color
                data-testid="ask-mark-item"
                on:focus=move |_| look()
                on:blur=move |_| look_away()
                on:pointerenter=move |_| look()
                on:pointerleave=move |_| look_away()
                on:click=move |_| look()
            >
                <span class="swatch" aria-hidden="true"></span>
                <span class="name">{name}</span>
                <span class="quiet num">{mark_position(mark, several)}</span>
            </button>
        </li>
    }
}
