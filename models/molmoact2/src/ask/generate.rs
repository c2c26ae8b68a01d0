//! Generation of a text answer, token by token.

use std::ops::ControlFlow;

use burn_tensor::Tensor;
use layers::KvCache;
use vision::RgbImage;

use crate::ask::grounding;
use crate::ask::reply::{AskOptions, FinishReason, Reply};
use crate::ask::sampling::TokenSampler;
use crate::clock::StageClock;
use crate::error::{ActError, AskError};
use crate::input::chat::Chat;
use crate::input::images::{ImageBatch, ImagePreprocessor};
use crate::input::tokenizer::{EncodedText, IMAGE, TextTokenizer};
use crate::network::Network;
use crate::network::readback::read;
use crate::network::text_model::{TextModel, Until, prefill_bias};

/// Callback that gets each new piece of an answer and can stop the generation.
pub type TextCallback<'a> = dyn FnMut(&str) -> ControlFlow<()> + Send + 'a;

/// The parts of a loaded model that answer questions.
pub(crate) struct AnswerGenerator<'a> {
    pub(crate) network: &'a Network,
    pub(crate) images: &'a ImagePreprocessor,
    pub(crate) tokenizer: &'a TextTokenizer,
    pub(crate) chat: &'a Chat,
    pub(crate) image_patch_id: u32,
}

impl AnswerGenerator<'_> {
    pub(crate) async fn answer(
        &self,
        question: &str,
        images: &[RgbImage],
        options: &AskOptions,
        on_text: &mut TextCallback<'_>,
    ) -> Result<Reply, AskError> {
        let mut sampler = TokenSampler::new(options)?;
        let mut clock = StageClock::start(self.network.device());
        let prompt = self.chat.text(question, images.len())?;
        let batch = self.images.prepare(images)?;
        let EncodedText { ids, image_type } = self.encode(&prompt, &batch)?;
        let text = self.network.text();
        let (tokens, max) = (ids.len(), text.max_positions());
        if tokens >= max {
            return Err(ActError::TooLong { tokens, max }.into());
        }
        clock.end("preprocess");

        let features = (batch.crops > 0).then(|| self.network.encode_batch(batch));
        clock.end("vision");

        let embedded = self
            .network
            .embed_prompt(&ids, self.image_patch_id, features);
        let bias = prefill_bias(&image_type, self.network.device());
        let mut cache = self.network.new_cache();
        let hidden = text.forward(embedded, Some(&bias), &mut cache, Until::LastToken);
        let mut hidden = hidden.ok_or_else(ActError::no_hidden_state)?;
        clock.end("prefill");

        let mut written = Vec::new();
        let mut logits = Vec::new();
        let mut text_so_far = IncrementalText::default();
        let finish_reason = loop {
            if written.len() >= options.max_tokens {
                break FinishReason::MaxTokens;
            }
            let scores = read(text.logits(hidden)).await?;
            let token = sampler.sample(&scores)?;
            if options.dumps {
                logits.push(scores);
            }
            written.push(token);
            if self.chat.ends(token) {
                break FinishReason::EndOfText;
            }
            if let Some(piece) = text_so_far.grow(self.tokenizer.decode(&written)?)
                && on_text(&piece).is_break()
            {
                break FinishReason::Stopped;
            }
            if cache.len() >= max {
                break FinishReason::Positions;
            }
            hidden = step(text, &mut cache, token)?;
        };
        // Bytes of a character that was not completed.
        if let Some(rest) = text_so_far.end(self.tokenizer.decode(&written)?) {
            // Nothing is left to stop.
            let _ = on_text(&rest);
        }
        clock.end("decode");
        let sizes: Vec<[usize; 2]> = images
            .iter()
            .map(|image| [image.width(), image.height()])
            .collect();
        Ok(Reply {
            marks: grounding::parse(&text_so_far.emitted, &sizes),
            text: text_so_far.emitted,
            ids: written,
            finish_reason,
            prompt,
            prompt_ids: ids,
            logits: options.dumps.then_some(logits),
            stages: clock.finish(),
        })
    }

    /// Ids of a prompt, with image tokens in place of its placeholders.
    fn encode(&self, prompt: &str, batch: &ImageBatch) -> Result<EncodedText, ActError> {
        let mut grids = batch.grids.iter();
        let mut expanded = String::with_capacity(prompt.len());
        let mut parts = prompt.split(IMAGE);
        expanded.extend(parts.next());
        for part in parts {
            if let Some(grid) = grids.next() {
                expanded.push_str(&self.images.tokens_of(grid));
            }
            expanded.push_str(part);
        }
        self.tokenizer.encode(expanded)
    }
}

/// Feeds one token and returns its final hidden state.
fn step(text: &TextModel, cache: &mut KvCache, token: u32) -> Result<Tensor<2>, ActError> {
    if cache.len() >= text.max_positions() {
        return Err(ActError::TooLong {
            tokens: cache.len() + 1,
            max: text.max_positions(),
        });
    }
    let embedded = text.embed(&[token]);
    text.forward(embedded, None, cache, Until::LastToken)
        .ok_or_else(ActError::no_hidden_state)
}

/// Text that grows token by token, passed on only as far as it is final.
///
/// A byte-level token can end inside a character; until the rest arrives, decoding yields U+FFFD there.
#[derive(Debug, Default)]
struct IncrementalText {
    emitted: String,
}

impl IncrementalText {
    /// Takes the text of all tokens so far, and returns its new complete characters.
    #[allow(clippy::needless_pass_by_value, reason = "callers have just made it")]
    fn grow(&mut self, text: String) -> Option<String> {
        self.add(text.trim_end_matches('\u{FFFD}'))
    }

    /// Takes the text of all tokens, and returns the rest, complete or not.
    #[allow(clippy::needless_pass_by_value, reason = "callers have just made it")]
    fn end(&mut self, text: String) -> Option<String> {
        self.add(&text)
    }

    fn add(&mut self, text: &str) -> Option<String> {
        let new = text.strip_prefix(&self.emitted)?;
        if new.is_empty() {
            return None;
        }
        let new = new.to_owned();
        self.emitted.push_str(&new);
        Some(new)
    }
}

#[cfg(test)]
mod tests {
    use super::IncrementalText;

    #[test]
    fn a_character_is_told_when_it_is_whole() {
        let bytes = "aé€𝄞b".as_bytes();
        let mut streamed = IncrementalText::default();
        let mut pieces = Vec::new();
        for end in 1..=bytes.len() {
            let text = String::from_utf8_lossy(&bytes[..end]).into_owned();
            pieces.extend(streamed.grow(text));
        }
        assert_eq!(pieces, ["a", "é", "€", "𝄞", "b"]);
        assert_eq!(streamed.end("aé€𝄞b".to_owned()), None);
    }

    #[test]
    fn a_broken_end_is_told_at_the_end() {
        let mut streamed = IncrementalText::default();
        assert_eq!(
            streamed.grow("ok\u{FFFD}".to_owned()).as_deref(),
            Some("ok")
        );
        assert_eq!(
            streamed.end("ok\u{FFFD}".to_owned()).as_deref(),
            Some("\u{FFFD}")
        );
        assert_eq!(streamed.emitted, "ok\u{FFFD}");
    }
}
