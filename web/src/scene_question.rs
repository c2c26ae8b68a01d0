//! A question about the scene and its answer.

use std::collections::BTreeSet;

use protocol::View;
use protocol::scene::{Answer, AnswerState, SceneAsked, SceneMark};

use crate::format;

mod marks;

pub use marks::{MARK_COLORS, mark_name, mark_position};

/// State of a question.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum State {
    /// There is no question.
    #[default]
    Idle,
    /// Sent, but not started: other questions may come first, or the model is encoding the images.
    Waiting,
    /// The answer is being generated.
    Writing,
    /// The answer is complete.
    Done,
    /// The answer reached the length limit.
    CutOff,
    /// The viewer stopped the answer.
    Stopped,
    /// Failed.
    Failed,
}

impl State {
    /// Stable name for tests and styles.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Waiting => "waiting",
            Self::Writing => "writing",
            Self::Done => "done",
            Self::CutOff => "cut_off",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
        }
    }

    /// True if the answer is still in progress.
    #[must_use]
    pub fn is_open(self) -> bool {
        matches!(self, Self::Waiting | Self::Writing)
    }
}

/// The newest question, its images and its answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SceneQuestion {
    question_id: u64,
    state: State,
    question: String,
    scene: Option<SceneAsked>,
    answer: Option<Answer>,
}

impl SceneQuestion {
    /// Starts a new question and returns its number.
    pub fn ask(&mut self, question: &str) -> u64 {
        *self = Self {
            question_id: self.question_id + 1,
            state: State::Waiting,
            question: question.to_owned(),
            ..Self::default()
        };
        self.question_id
    }

    /// Stores the images, unless they belong to an older question.
    pub fn on_images(&mut self, scene: SceneAsked) {
        if scene.question_id == self.question_id {
            self.scene = Some(scene);
        }
    }

    /// Applies an update of the answer, unless it belongs to an older question or came late.
    pub fn on_answer(&mut self, answer: Answer) {
        if answer.question_id != self.question_id || !self.state.is_open() {
            return;
        }
        self.state = match answer.state {
            AnswerState::Waiting => State::Waiting,
            AnswerState::Writing => State::Writing,
            AnswerState::Done => State::Done,
            AnswerState::CutOff => State::CutOff,
            AnswerState::Stopped => State::Stopped,
            AnswerState::Failed => State::Failed,
        };
        // A failure keeps the text so far.
        match &mut self.answer {
            Some(before) if answer.state == AnswerState::Failed => before.error = answer.error,
            other => *other = Some(answer),
        }
    }

    /// Fails an open question: its answer does not outlive the connection.
    pub fn connection_lost(&mut self) {
        if self.state.is_open() {
            self.state = State::Failed;
            let answer = self.answer.get_or_insert_with(|| empty(self.question_id));
            "the connection was lost; ask again".clone_into(&mut answer.error);
        }
    }

    /// State of the question.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// Number of the question.
    #[must_use]
    pub fn question_id(&self) -> u64 {
        self.question_id
    }

    /// Text of the question.
    #[must_use]
    pub fn question(&self) -> &str {
        &self.question
    }

    /// The images, in the order in which the model was shown them.
    #[must_use]
    pub fn views(&self) -> &[View] {
        self.scene.as_ref().map_or(&[], |scene| &scene.views)
    }

    /// Capture time of the images, in seconds of the robot's clock.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "microseconds of years fit")]
    pub fn captured_at_secs(&self) -> Option<f64> {
        let scene = self.scene.as_ref()?;
        Some(scene.captured_at_micros as f64 / 1e6)
    }

    /// The answer so far.
    #[must_use]
    pub fn answer(&self) -> Option<&Answer> {
        self.answer.as_ref()
    }

    /// All marks, in the order of the answer.
    #[must_use]
    pub fn all_marks(&self) -> Vec<SceneMark> {
        self.answer
            .as_ref()
            .map_or_else(Vec::new, |answer| answer.marks.clone())
    }

    /// Progress or timing as text.
    #[must_use]
    pub fn note(&self) -> String {
        let Some(answer) = &self.answer else {
            return match self.state {
                State::Idle => String::new(),
                _ => "Asking…".to_owned(),
            };
        };
        match self.state {
            State::Idle => String::new(),
            State::Waiting => match answer.ahead {
                0 => "Next in the queue".to_owned(),
                1 => "One other question is answered first".to_owned(),
                ahead => format!("{ahead} other questions are answered first"),
            },
            State::Writing if answer.text.is_empty() => "Encoding the image…".to_owned(),
            State::Writing => "Writing…".to_owned(),
            State::Done => took(answer),
            State::CutOff => format!("Cut off at the limit. {}", took(answer)),
            State::Stopped => "Stopped".to_owned(),
            State::Failed => answer.error.clone(),
        }
    }
}

fn empty(question_id: u64) -> Answer {
    Answer {
        question_id,
        state: AnswerState::Failed,
        ahead: 0,
        text: String::new(),
        plain: String::new(),
        marks: Vec::new(),
        tokens: 0,
        error: String::new(),
        stages: Vec::new(),
    }
}

/// Timing of the answer: until its first token, and per token.
fn took(answer: &Answer) -> String {
    let micros = |is_decode: bool| -> u64 {
        let stages = answer.stages.iter();
        let stages = stages.filter(|stage| (stage.name == "decode") == is_decode);
        stages.map(|stage| stage.micros).sum()
    };
    let each = micros(true) / u64::from(answer.tokens.max(1));
    format!(
        "{} tokens: the first after {}, then {} each",
        answer.tokens,
        format::duration(micros(false)),
        format::duration(each)
    )
}

/// The cameras to ask about: the chosen ones in the robot's order, or the first one.
#[must_use]
pub fn cameras(known: &[String], chosen: &BTreeSet<String>) -> Vec<String> {
    let picked: Vec<String> = known
        .iter()
        .filter(|name| chosen.contains(*name))
        .cloned()
        .collect();
    if picked.is_empty() {
        known.first().cloned().into_iter().collect()
    } else {
        picked
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::Stage;

    fn answer(question_id: u64, state: AnswerState, text: &str) -> Answer {
        Answer {
            state,
            text: text.to_owned(),
            ..empty(question_id)
        }
    }

    fn text(scene_question: &SceneQuestion) -> &str {
        scene_question.answer().map_or("", |answer| &answer.text)
    }

    #[test]
    fn only_the_newest_question_gets_answers() {
        let mut scene_question = SceneQuestion::default();
        assert_eq!(scene_question.state(), State::Idle);
        let first = scene_question.ask("a");
        let second = scene_question.ask("b");
        assert_ne!(first, second);
        scene_question.on_answer(answer(first, AnswerState::Done, "old"));
        assert_eq!(
            (scene_question.state(), text(&scene_question)),
            (State::Waiting, "")
        );
        scene_question.on_answer(answer(second, AnswerState::Writing, "n"));
        scene_question.on_answer(answer(second, AnswerState::Done, "new"));
        scene_question.on_answer(answer(second, AnswerState::Writing, "n"));
        assert_eq!(
            (scene_question.state(), text(&scene_question)),
            (State::Done, "new")
        );
        scene_question.connection_lost();
        assert_eq!(scene_question.state(), State::Done);
    }

    #[test]
    fn the_note_says_who_is_before_and_what_it_took() {
        let mut scene_question = SceneQuestion::default();
        assert_eq!(scene_question.note(), "");
        let id = scene_question.ask("a");
        assert_eq!(scene_question.note(), "Asking…");
        let waiting = |ahead| Answer {
            ahead,
            ..answer(id, AnswerState::Waiting, "")
        };
        for (ahead, expected) in [
            (2, "2 other questions"),
            (1, "One other question"),
            (0, "Next"),
        ] {
            scene_question.on_answer(waiting(ahead));
            assert!(
                scene_question.note().starts_with(expected),
                "{}",
                scene_question.note()
            );
            assert!(scene_question.state().is_open());
        }
        scene_question.on_answer(answer(id, AnswerState::Writing, ""));
        assert_eq!(scene_question.note(), "Encoding the image…");
        scene_question.on_answer(answer(id, AnswerState::Writing, "w"));
        assert_eq!(scene_question.note(), "Writing…");
        let stage = |name: &str, micros| Stage {
            name: name.to_owned(),
            micros,
        };
        scene_question.on_answer(Answer {
            tokens: 10,
            stages: vec![
                stage("vision", 1_000),
                stage("prefill", 500),
                stage("decode", 40_000),
            ],
            ..answer(id, AnswerState::Done, "words")
        });
        assert_eq!(
            scene_question.note(),
            "10 tokens: the first after 1.5 ms, then 4.0 ms each"
        );
    }

    #[test]
    fn a_failure_keeps_what_was_written() {
        let mut scene_question = SceneQuestion::default();
        let id = scene_question.ask("a");
        scene_question.on_answer(answer(id, AnswerState::Writing, "half"));
        scene_question.connection_lost();
        assert_eq!(
            (scene_question.state(), text(&scene_question)),
            (State::Failed, "half")
        );
        assert!(
            scene_question
                .answer()
                .is_some_and(|a| a.error.contains("ask again"))
        );
        let id = scene_question.ask("b");
        scene_question.on_answer(Answer {
            error: "no".to_owned(),
            ..answer(id, AnswerState::Failed, "")
        });
        assert!(scene_question.answer().is_some_and(|a| a.error == "no"));
    }

    #[test]
    fn the_first_camera_is_asked_about_unless_others_are_chosen() {
        let known = ["overview".to_owned(), "wrist".to_owned()];
        let chosen = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(cameras(&known, &chosen(&[])), ["overview"]);
        assert_eq!(cameras(&known, &chosen(&["wrist", "gone"])), ["wrist"]);
        assert_eq!(cameras(&known, &chosen(&["wrist", "overview"])), known);
        assert!(cameras(&[], &chosen(&[])).is_empty());
    }
}
