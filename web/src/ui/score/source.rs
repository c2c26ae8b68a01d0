//! Choice of the video: the robot's camera, a recorded episode, or a file.

use std::rc::Rc;

use leptos::prelude::*;
use wasm_bindgen_futures::spawn_local;
use web_sys::{File, FileList};

use super::live;
use super::state::{OpenedFile, ScoreState, VideoFacts, VideoSource};
use super::video_element::VideoElement;
use crate::format;
use crate::frame_sampling::{VideoExtent, episode_title};
use crate::ui::segment::segment;
use crate::ui::state::Studio;

#[component]
pub(super) fn SourceBox() -> impl IntoView {
    let studio = expect_context::<Studio>();
    let score = studio.score;
    let has_episodes = Memo::new(move |_| score.episodes.with(|episodes| !episodes.is_empty()));
    let option = move |this: VideoSource, hook: &'static str, name: &'static str| {
        segment(
            hook,
            name,
            move || score.source.get() == this,
            move || choose(score, this),
        )
    };
    view! {
        <div class="source" data-testid="score-source" data-source=move || score.source.get().name()>
            <div class="segmented" role="group" aria-label="What is scored">
                {option(VideoSource::Robot, "score-source-robot", "The robot, live")}
                <Show when=move || has_episodes.get()>
                    {option(VideoSource::Episode, "score-source-episode", "A recorded episode")}
                </Show>
                {option(VideoSource::File, "score-source-file", "A video file")}
            </div>
            {move || match score.source.get() {
                VideoSource::Robot => view! { <Cameras/> }.into_any(),
                VideoSource::Episode => view! { <Episodes/> }.into_any(),
                VideoSource::File => view! { <FileBox/> }.into_any(),
            }}
        </div>
    }
}

/// Selects another source and clears the instruction that was typed for the previous one.
fn choose(score: ScoreState, source: VideoSource) {
    if score.source.get_untracked() != source {
        score.source.set(source);
        score.typed.set(None);
    }
}

#[component]
fn Cameras() -> impl IntoView {
    let studio = expect_context::<Studio>();
    let score = studio.score;
    let names = Memo::new(move |_| studio.camera_names());
    let chosen = Memo::new(move |_| live::camera(studio));
    view! {
        <div class="row">
            <Show
                when=move || !names.with(Vec::is_empty)
                fallback=|| view! { <p class="quiet">"No robot with a camera is connected yet."</p> }
            >
                <span class="label" id="score-cameras">"Camera"</span>
                <div class="segmented" role="group" aria-labelledby="score-cameras">
                    <For each=move || names.get() key=Clone::clone let:name>
                        {
                            let (shown, hook) = (format::plain_name(&name), format!("score-camera-{name}"));
                            let (pressed, pushed) = (name.clone(), name);
                            segment(
                                hook,
                                shown,
                                move || chosen.with(|chosen| chosen.as_ref() == Some(&pressed)),
                                move || score.camera.set(Some(pushed.clone())),
                            )
                        }
                    </For>
                </div>
            </Show>
            <p class="quiet grow">
                "Two frames per second from the start of an instruction to its end, one point of the curve each; then the controls."
            </p>
        </div>
    }
}

#[component]
fn Episodes() -> impl IntoView {
    let studio = expect_context::<Studio>();
    let score = studio.score;
    let facts = move || {
        score.chosen_episode().map(|episode| {
            let extent = VideoExtent::of_episode(&episode);
            format!(
                "{}: {} frames at {} per second",
                format::span(extent.secs()),
                episode.frames,
                episode.fps
            )
        })
    };
    view! {
        <div class="row">
            <select
                aria-label="Recorded episode"
                data-testid="score-episode"
                on:change:target=move |event| {
                    score.episode.set(Some(event.target().value()));
                    score.typed.set(None);
                }
            >
                <For each=move || score.episodes.get() key=|episode| episode.id.clone() let:episode>
                    {
                        let text = episode_title(&episode);
                        let id = episode.id.clone();
                        view! {
                            <option
                                value=episode.id
                                selected=move || score.episode.with(|chosen| chosen.as_ref() == Some(&id))
                            >{text}</option>
                        }
                    }
                </For>
            </select>
            <span class="quiet num">{facts}</span>
        </div>
    }
}

#[component]
fn FileBox() -> impl IntoView {
    let studio = expect_context::<Studio>();
    let score = studio.score;
    let facts = move || {
        match score.opened.get() {
        OpenedFile::Nothing => view! {
            <span class="quiet">"or drop it anywhere on the page. The file is read here and never uploaded."</span>
        }
        .into_any(),
        OpenedFile::Opening(name) => view! {
            <span class="progress">
                <progress aria-label="Opening the video"></progress>
                <span class="quiet">{format!("Opening {name}…")}</span>
            </span>
        }
        .into_any(),
        OpenedFile::Failed(reason) => view! { <span class="wrong">{reason}</span> }.into_any(),
        OpenedFile::Video(facts) => view! { <Facts facts/> }.into_any(),
    }
    };
    let state = move || {
        score.opened.with(|opened| match opened {
            OpenedFile::Nothing => "nothing",
            OpenedFile::Opening(_) => "opening",
            OpenedFile::Video(_) => "open",
            OpenedFile::Failed(_) => "failed",
        })
    };
    view! {
        <div class="row file" data-testid="score-file-state" data-state=state role="status">
            <label class="button file-button">
                "Choose a video"
                <input
                    type="file"
                    accept="video/*,.mkv,.webm,.mp4,.mov"
                    class="visually-hidden"
                    data-testid="score-file"
                    on:change:target=move |event| {
                        let input = event.target();
                        if let Some(file) = input.files().and_then(|files| files.get(0)) {
                            open(studio, file);
                        }
                        // Cleared so that the same file can be chosen again.
                        input.set_value("");
                    }
                />
            </label>
            {facts}
        </div>
    }
}

#[component]
fn Facts(facts: VideoFacts) -> impl IntoView {
    let studio = expect_context::<Studio>();
    let score = studio.score;
    let rate = if facts.rate.is_some() {
        "measured; correct it if it is wrong"
    } else {
        "not measurable in this browser; check it"
    };
    let (secs, profile) = (facts.secs, score.profile);
    let frames = move || {
        let fps = score.fps.get().trim().replace(',', ".");
        let extent = VideoExtent::of_file(secs, fps.parse().unwrap_or(f64::NAN))?;
        let shown = extent.frames_to_show(profile.get(), score.prefixes.get())?;
        Ok::<_, String>(format!(
            "{} frames, {} of them read",
            extent.frames,
            shown.len()
        ))
    };
    view! {
        <span class="num">
            <strong class="file-name">{facts.name}</strong>
            {format!(" {}, {}×{}", format::span(facts.secs), facts.width, facts.height)}
        </span>
        <label class="inline">
            <input
                type="text"
                inputmode="decimal"
                size="5"
                class="field short num"
                aria-describedby="score-fps-about"
                data-testid="score-fps"
                prop:value=score.fps
                on:input:target=move |event| score.fps.set(event.target().value())
            />
            <span class="label">"frames per second"</span>
        </label>
        <span class="quiet num" id="score-fps-about">
            {rate} ". "
            {move || match frames() {
                Ok(shown_text) => view! { <span data-testid="score-file-frames">{shown_text}</span> }.into_any(),
                Err(reason) => view! { <span class="wrong">{reason}</span> }.into_any(),
            }}
        </span>
    }
}

/// Opens the first of the dropped files.
pub(super) fn dropped(studio: Studio, files: &FileList) {
    if let Some(file) = files.get(0) {
        if files.length() > 1 {
            studio.notify(format!(
                "One video is scored at a time; {} was opened.",
                file.name()
            ));
        }
        open(studio, file);
    }
}

/// Opens a file and measures its frame rate.
fn open(studio: Studio, file: File) {
    let score = studio.score;
    choose(score, VideoSource::File);
    score.files_given.update_value(|given| *given += 1);
    let number = score.files_given.get_value();
    let is_newest = move || score.files_given.get_value() == number;
    let name = file.name();
    score.opened.set(OpenedFile::Opening(name.clone()));
    score.video_element.set_value(None);
    spawn_local(async move {
        let opened = VideoElement::of_file(&file).await;
        let opened = match opened {
            Ok(video_element) => {
                let rate = video_element.rate().await;
                Ok((video_element, rate))
            }
            Err(reason) => Err(reason),
        };
        if !is_newest() {
            return;
        }
        match opened {
            Ok((video_element, rate)) => {
                let (width, height) = video_element.size();
                score.fps.set(rate.unwrap_or(30.0).to_string());
                score.opened.set(OpenedFile::Video(VideoFacts {
                    name,
                    secs: video_element.secs(),
                    width,
                    height,
                    rate,
                }));
                score.video_element.set_value(Some(Rc::new(video_element)));
            }
            Err(reason) => score
                .opened
                .set(OpenedFile::Failed(format!("{name}: {reason}"))),
        }
    });
}
