//! Models that answer questions about images in text.

use super::policy::PolicyError;
use molmoact2::{AskOptions, Reply, TextCallback, Vlm};
use std::{fmt, sync::Arc};
use vision::RgbImage;

/// Most tokens of an answer.
const MAX_TOKENS: usize = 512;

/// A model that answers questions. It is shared between threads, because it answers beside the policy.
pub trait QuestionAnswerer: Send + Sync {
    /// Name for people.
    fn name(&self) -> &str;

    /// Answers a question about images; `on_text` receives each piece of text as it is generated. Blocks until the answer is
    /// complete.
    ///
    /// # Errors
    /// [`PolicyError`], for the person who asked the question.
    fn answer(
        &self,
        question: &str,
        images: &[RgbImage],
        on_text: &mut TextCallback<'_>,
    ) -> Result<Reply, PolicyError>;
}

impl fmt::Debug for dyn QuestionAnswerer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("QuestionAnswerer")
            .field(&self.name())
            .finish()
    }
}

/// The answerer, or the reason why there is none, with the remedy.
pub type Answering = Result<Arc<dyn QuestionAnswerer>, String>;

/// Returns the reason why a policy answers no questions, with the remedy.
///
/// # Errors
/// Always.
pub fn unavailable(policy: &str) -> Answering {
    Err(format!(
        "{policy} writes actions, not answers. To ask about the scene, start the studio with --ask DIR, where DIR is a \
         vision-language model such as Molmo2-ER."
    ))
}

/// A loaded model with its name.
#[derive(Debug)]
pub struct Answerer {
    /// Name of its folder.
    pub name: String,
    /// The model.
    pub model: Model,
}

/// Kinds of models that answer questions.
#[derive(Debug)]
pub enum Model {
    /// A vision-language model.
    Vlm(Box<Vlm>),
    /// A policy that was also trained to answer. While it answers, chunks and answers take longer.
    Policy(Arc<molmoact2::Policy>),
}

impl QuestionAnswerer for Answerer {
    fn name(&self) -> &str {
        &self.name
    }

    fn answer(
        &self,
        question: &str,
        images: &[RgbImage],
        on_text: &mut TextCallback<'_>,
    ) -> Result<Reply, PolicyError> {
        let options = AskOptions {
            max_tokens: MAX_TOKENS,
            ..AskOptions::default()
        };
        let reply = match &self.model {
            Model::Vlm(vlm) => vlm.ask(question, images, &options, on_text),
            Model::Policy(policy) => policy.ask(question, images, &options, on_text),
        };
        reply.map_err(|error| PolicyError::new(error.to_string()))
    }
}
