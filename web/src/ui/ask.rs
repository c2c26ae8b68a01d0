//! Panel for questions about the scene: the question, the images it is about, and the answer with its marks.

use std::collections::BTreeSet;

use leptos::either::Either;
use leptos::prelude::*;
use protocol::scene::{Ask, StopAnswer};

use super::segment::segment;
use super::state::Studio;
use crate::format;
use crate::scene_question::{SceneQuestion, State, cameras};

mod answer;
mod snapshots;

/// Placeholder of the question.
const PLACEHOLDER: &str = "What is on the table?";
/// Example questions of the kinds that such models are trained for.
const EXAMPLES: [&str; 3] = [
    "Point to every cube.",
    "Which object is closest to the gripper?",
    "Where could the gripper put something down?",
];

#[component]
pub(crate) fn AskPanel() -> impl IntoView {
    let studio = expect_context::<Studio>();
    // The highlighted mark, by its index in the answer.
    let looked_at = RwSignal::new(None::<usize>);
    let unavailable = Memo::new(move |_| {
        studio
            .welcome
            .with(|welcome| welcome.as_ref()?.answerer.unavailable.clone())
    });
    let model = move || {
        studio
            .welcome
            .with(|welcome| welcome.as_ref()?.answerer.model.clone())
            .map(|name| view! { <span class="quiet" data-testid="ask-model">{name}</span> })
    };
    let is_asked = Memo::new(move |_| {
        studio
            .scene_question
            .with(|scene_question| scene_question.state() != State::Idle)
    });
    view! {
        <section class="panel ask" id="ask" aria-labelledby="ask-title" data-testid="ask-panel">
            <div class="title-row">
                <h2 id="ask-title">"Ask the scene"</h2>
                {model}
            </div>
            {move || match unavailable.get() {
                Some(reason) => Either::Left(view! {
                    <p class="empty-note" data-testid="ask-unavailable">{reason}</p>
                }),
                None => Either::Right(view! { <Question/> }),
            }}
            <Show when=move || is_asked.get()>
                <div class="result">
                    <snapshots::Snapshots looked_at/>
                    <answer::AnswerText looked_at/>
                </div>
            </Show>
        </section>
    }
}

/// Form for the question and its cameras.
#[component]
fn Question() -> impl IntoView {
    let studio = expect_context::<Studio>();
    let text = RwSignal::new(String::new());
    let chosen = RwSignal::new(BTreeSet::<String>::new());
    let known = Memo::new(move |_| studio.camera_names());
    let picked =
        Memo::new(move |_| known.with(|known| chosen.with(|chosen| cameras(known, chosen))));
    let ask = move |question: String| {
        let question = question.trim().to_owned();
        if !question.is_empty() && send(studio, &question, picked.get_untracked()) {
            text.set(question);
        }
    };
    let toggle = move |name: String| {
        let mut names: BTreeSet<String> = picked.get_untracked().into_iter().collect();
        if !names.remove(&name) {
            names.insert(name);
        }
        chosen.set(names);
    };
    view! {
        <form
            class="sentence"
            on:submit=move |event| {
                event.prevent_default();
                ask(text.get_untracked());
            }
        >
            <input
                type="text"
                maxlength="500"
                autocomplete="off"
                enterkeyhint="send"
                aria-label="Question about what the robot sees"
                data-testid="ask-input"
                placeholder=PLACEHOLDER
                prop:value=text
                on:input:target=move |event| text.set(event.target().value())
            />
            <button type="submit" class="button primary" data-testid="ask-send">"Ask"</button>
        </form>
        <div class="examples" role="group" aria-label="Example questions">
            {EXAMPLES
                .into_iter()
                .enumerate()
                .map(|(index, question)| {
                    view! {
                        <button
                            type="button"
                            class="example"
                            data-testid=format!("ask-example-{index}")
                            on:click=move |_| ask(question.to_owned())
                        >{question}</button>
                    }
                })
                .collect_view()}
        </div>
        <Show when=move || known.with(|known| known.len() > 1)>
            <div class="row">
                <span class="label" id="ask-cameras">"Cameras"</span>
                <div class="segmented" role="group" aria-labelledby="ask-cameras">
                    <For each=move || known.get() key=Clone::clone let:name>
                        {
                            let (shown, hook) = (format::plain_name(&name), format!("ask-camera-{name}"));
                            let (pressed, pushed) = (name.clone(), name);
                            segment(
                                hook,
                                shown,
                                move || picked.with(|names| names.contains(&pressed)),
                                move || toggle(pushed.clone()),
                            )
                        }
                    </For>
                </div>
                <span class="quiet">"with their images at the moment you ask"</span>
            </div>
        </Show>
    }
}

/// Sends a question; `false`, with a notice, if that is not possible.
fn send(studio: Studio, question: &str, cameras: Vec<String>) -> bool {
    let Some(robot_id) = studio.watched.get_untracked() else {
        studio.notify("There is no robot to ask about yet.".to_owned());
        return false;
    };
    if cameras.is_empty() {
        studio.notify("This robot has no camera to ask about.".to_owned());
        return false;
    }
    let mut scene_question = studio.scene_question.get_untracked();
    let question_id = scene_question.ask(question);
    let sent = studio.send(Ask {
        robot_id,
        question_id,
        cameras,
        question: question.to_owned(),
    });
    if sent {
        studio.scene_question.set(scene_question);
    }
    sent
}

/// Stops the answer.
fn stop(studio: Studio) {
    let question_id = studio
        .scene_question
        .with_untracked(SceneQuestion::question_id);
    studio.send(StopAnswer { question_id });
}
