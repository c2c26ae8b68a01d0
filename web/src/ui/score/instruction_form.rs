//! Form for the instruction to score, with its settings and the start button.

use leptos::prelude::*;
use topreward::Profile;

use super::live;
use super::start_job::{score_video, with_scorer};
use super::state::{AfterLoad, OpenedFile, ScoreState, VideoSource};
use crate::scorer::ScoreLocation;
use crate::ui::state::Studio;

const PREFIXES: [(&str, &str); 3] = [
    ("15", "15, evenly spread"),
    ("blocks", "one per block of two frames"),
    ("all", "every frame"),
];

/// Content of the instruction field: the viewer's text, or the source's own instruction.
fn instruction(studio: Studio, score: ScoreState) -> String {
    if let Some(typed) = score.typed.get() {
        return typed;
    }
    match score.source.get() {
        VideoSource::Robot => studio.status.with(|status| {
            status
                .as_ref()
                .map(|status| status.instruction.clone())
                .unwrap_or_default()
        }),
        VideoSource::Episode => score
            .chosen_episode()
            .map(|episode| episode.instruction)
            .unwrap_or_default(),
        VideoSource::File => String::new(),
    }
}

#[component]
pub(super) fn Question() -> impl IntoView {
    let studio = expect_context::<Studio>();
    let score = studio.score;
    let text = Memo::new(move |_| instruction(studio, score));
    let is_robot = Memo::new(move |_| score.source.get() == VideoSource::Robot);
    let begin = move || {
        if !is_robot.get_untracked() {
            score_video(studio, &text.get_untracked());
        } else if score.follows.get_untracked() {
            live::unfollow(studio);
        } else {
            with_scorer(studio, AfterLoad::Follow);
        }
    };
    let button = move || match (is_robot.get(), score.follows.get()) {
        (true, true) => "Stop following",
        (true, false) => "Score live",
        (false, _) => "Score",
    };
    // A large scorer is loaded on request only; the small one is loaded automatically.
    let is_missing = Memo::new(move |_| {
        let is_large = score
            .served
            .with(|served| served.manifest().is_some_and(|manifest| !manifest.is_nano));
        is_large
            && score.location.get() == ScoreLocation::Tab
            && score
                .tab_scorer
                .with(|tab_scorer| !tab_scorer.is_ready() && !tab_scorer.is_loading())
    });
    let has_video = Memo::new(move |_| match score.source.get() {
        VideoSource::Robot | VideoSource::Episode => true,
        VideoSource::File => matches!(score.opened.get(), OpenedFile::Video(_)),
    });
    let hint = move || {
        if is_missing.get() {
            "Load the scorer first."
        } else if !has_video.get() {
            "Choose a video first."
        } else if is_robot.get()
            && score.follows.get()
            && !score.score_job.with(|s| s.state().is_open())
        {
            "Waiting for the robot’s next instruction."
        } else {
            ""
        }
    };
    let placeholder = move || match score.source.get() {
        VideoSource::Robot => "the robot’s own instruction",
        VideoSource::Episode | VideoSource::File => {
            "the instruction that the video should complete"
        }
    };
    view! {
        <form
            class="sentence"
            on:submit=move |event| {
                event.prevent_default();
                begin();
            }
        >
            <input
                type="text"
                maxlength="500"
                autocomplete="off"
                enterkeyhint="go"
                aria-label="Instruction that the video should complete"
                data-testid="score-sentence"
                placeholder=placeholder
                prop:value=text
                on:input:target=move |event| score.typed.set(Some(event.target().value()))
                on:blur=move |_| {
                    if score.typed.with_untracked(|typed| typed.as_ref().is_some_and(|typed| typed.trim().is_empty())) {
                        score.typed.set(None);
                    }
                }
            />
            <button
                type="submit"
                class="button primary"
                data-testid="score-begin"
                aria-describedby="score-hint"
                disabled=move || is_missing.get() || !has_video.get()
            >{button}</button>
        </form>
        <div class="row">
            <Settings/>
            <p class="quiet" id="score-hint" role="status" data-testid="score-hint">{hint}</p>
        </div>
    }
}

/// Advanced settings.
#[component]
fn Settings() -> impl IntoView {
    let studio = expect_context::<Studio>();
    let score = studio.score;
    let is_robot = Memo::new(move |_| score.source.get() == VideoSource::Robot);
    // The request holds static strings.
    let known =
        |names: &[&'static str], name: &str| names.iter().copied().find(|known| *known == name);
    let choose_prefixes = move |word: String| {
        if let Some(word) = known(&PREFIXES.map(|(word, _)| word), &word) {
            score.prefixes.set(word);
        }
    };
    let choose_profile = move |word: String| {
        if let Some(word) = known(&Profile::ALL.map(Profile::name), &word) {
            score.profile.set(word);
        }
    };
    view! {
        <details class="settings">
            <summary>"Controls and frames"</summary>
            <div class="settings-grid">
                <label>
                    <span class="label">"Another task’s instruction, as a control"</span>
                    <input
                        type="text"
                        class="field"
                        maxlength="500"
                        autocomplete="off"
                        placeholder="if empty, the words are shuffled"
                        data-testid="score-other"
                        prop:value=score.other
                        on:input:target=move |event| score.other.set(event.target().value())
                    />
                </label>
                <Show when=move || !is_robot.get()>
                    <label>
                        <span class="label">"Points of the curve"</span>
                        <select data-testid="score-prefixes" on:change:target=move |event| choose_prefixes(event.target().value())>
                            {PREFIXES.into_iter().map(|(word, text)| view! {
                                <option value=word selected=move || score.prefixes.get() == word>{text}</option>
                            }).collect_view()}
                        </select>
                    </label>
                    <label>
                        <span class="label">"Frames shown to the scorer (profile)"</span>
                        <select data-testid="score-profile" on:change:target=move |event| choose_profile(event.target().value())>
                            {Profile::ALL.into_iter().map(|profile| view! {
                                <option
                                    value=profile.name()
                                    selected=move || score.profile.get() == profile.name()
                                >{about(profile)}</option>
                            }).collect_view()}
                        </select>
                    </label>
                </Show>
                <p class="quiet">
                    "Two more controls are always computed: the first frame held for as long as the video, and the \
                     negated instruction. Values of different profiles cannot be compared."
                </p>
            </div>
        </details>
    }
}

fn about(profile: Profile) -> &'static str {
    match profile {
        Profile::Aligned => "aligned: two per second, at true times",
        Profile::Legacy => "legacy: as first published, assumes 24 per second",
        Profile::Lerobot => "lerobot: every frame, half a second apart",
    }
}
