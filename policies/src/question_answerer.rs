//! Who answers questions in words about what a robot sees.

use super::policy::PolicyError;
use molmoact2::{AskOptions, Reply, TextCallback, Vlm};
use std::{fmt, sync::Arc};
use vision::RgbImage;

/// Most tokens of an answer in the page.
const MAX_TOKENS: usize = 512;

/// A model that can be asked. Shared: it answers on a thread of its own, beside whoever else uses it.
pub trait QuestionAnswerer: Send + Sync {
    /// What people call it.
    fn name(&self) -> &str;

    /// Answers a question, telling each piece as it is written. Blocks for as long as that takes.
    ///
    /// # Errors
    /// [`PolicyError`] in words for the person who asked.
    fn speak(
        &self,
        question: &str,
        images: &[RgbImage],
        told: &mut TextCallback<'_>,
    ) -> Result<Reply, PolicyError>;
}

impl fmt::Debug for dyn QuestionAnswerer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Speaker").field(&self.name()).finish()
    }
}

/// Who answers, or why nobody does and what to do about it.
pub type Answering = Result<Arc<dyn QuestionAnswerer>, String>;

/// Nobody answers.
///
/// # Errors
/// Always: what to load, in words.
pub fn nobody(policy: &str) -> Answering {
    Err(format!(
        "{policy} writes actions, not answers. To ask about the scene, start the studio with --ask DIR, where DIR is a \
         vision-language model such as Molmo2-ER."
    ))
}

fn options() -> AskOptions {
    AskOptions {
        max_tokens: MAX_TOKENS,
        ..AskOptions::default()
    }
}

/// A vision-language model.
#[derive(Debug)]
pub struct Model {
    /// The name of its folder.
    pub name: String,
    /// The model.
    pub vlm: Vlm,
}

impl QuestionAnswerer for Model {
    fn name(&self) -> &str {
        &self.name
    }

    fn speak(
        &self,
        question: &str,
        images: &[RgbImage],
        told: &mut TextCallback<'_>,
    ) -> Result<Reply, PolicyError> {
        self.vlm
            .ask(question, images, &options(), told)
            .map_err(|error| PolicyError::new(error.to_string()))
    }
}

/// A policy that was taught to talk. It answers while its robots move; both take the longer for it.
#[derive(Debug)]
pub(crate) struct AnsweringPolicy {
    pub(crate) name: String,
    pub(crate) policy: Arc<molmoact2::Policy>,
}

impl QuestionAnswerer for AnsweringPolicy {
    fn name(&self) -> &str {
        &self.name
    }

    fn speak(
        &self,
        question: &str,
        images: &[RgbImage],
        told: &mut TextCallback<'_>,
    ) -> Result<Reply, PolicyError> {
        self.policy
            .ask(question, images, &options(), told)
            .map_err(|error| PolicyError::new(error.to_string()))
    }
}
