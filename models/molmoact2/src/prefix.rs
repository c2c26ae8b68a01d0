//! Reading the prompt, and thinking before the answer.

use burn::tensor::Tensor;
use layers::KvCache;

use crate::action::ActOptions;
use crate::clock::StageClock;
use crate::depth::walk::{Then, Walked};
use crate::discrete::read;
use crate::error::ActError;
use crate::policy::{Policy, Ready};
use crate::text_model::{Until, prefill_bias};

/// Everything before the answer.
pub(crate) struct Prefix {
    pub(crate) cache: KvCache,
    /// The tokens that `cache` holds.
    pub(crate) ids: Vec<u32>,
    /// Final hidden state of the last of them, `[1, hidden]`, if the answer needs it.
    pub(crate) hidden: Option<Tensor<2>>,
    /// Scores of every id at the last token of the prompt, if asked for.
    pub(crate) prompt_logits: Option<Vec<f32>>,
    /// The depth map, if the prompt asks for one.
    pub(crate) depth: Option<Walked>,
}

impl Prefix {
    /// The hidden state the answer starts from.
    pub(crate) fn take_hidden(&mut self) -> Result<Tensor<2>, ActError> {
        self.hidden.take().ok_or_else(|| ActError::ReadBack {
            reason: "the language model gave no hidden state".to_owned(),
        })
    }
}

impl Policy {
    /// Reads the prompt, writes the depth map if there is to be one, and reads `then`, the tokens
    /// the answer is known to begin with. `needs_hidden` says whether the answer goes on from there.
    pub(crate) async fn read_prompt(
        &self,
        ready: &Ready<'_>,
        features: Tensor<2>,
        options: &ActOptions,
        then: &[u32],
        needs_hidden: bool,
        clock: &mut StageClock<'_>,
    ) -> Result<Prefix, ActError> {
        let text = self.network.text();
        let thinking = ready.plan.as_ref().zip(self.depth.as_ref());
        // What is known to follow is read together with the prompt.
        let known = match thinking {
            None => then.to_vec(),
            Some((plan, head)) => plan
                .spans
                .as_ref()
                .map_or_else(Vec::new, |spans| head.known_beginning(spans)),
        };
        let until = match (options.dumps, needs_hidden || thinking.is_some()) {
            (true, _) => Until::EveryToken,
            (false, true) => Until::LastToken,
            (false, false) => Until::KeysAndValues,
        };
        let mut ids = ready.prompt.ids.clone();
        ids.extend(&known);
        let mut image = ready.prompt.image_type.clone();
        image.resize(ids.len(), false);
        let max = text.max_positions();
        if ids.len() > max {
            return Err(ActError::TooLong {
                tokens: ids.len(),
                max,
            });
        }
        let embedded = self
            .network
            .embed_prompt(&ids, self.config.image_patch_id, Some(features));
        let bias = prefill_bias(&image, self.network.device());
        let mut cache = self.network.new_cache();
        let states = text.forward(embedded, Some(&bias), &mut cache, until);
        let mut prefix = Prefix {
            cache,
            hidden: None,
            prompt_logits: None,
            depth: None,
            ids,
        };
        if let Some(states) = states {
            let [rows, _] = states.dims();
            if options.dumps {
                let last = ready.prompt.ids.len().saturating_sub(1);
                let row = states.clone().narrow(0, last, 1);
                prefix.prompt_logits = Some(read(text.logits(row)).await?);
            }
            prefix.hidden = Some(states.narrow(0, rows.saturating_sub(1), 1));
        }
        clock.end("prefill");
        let Some((plan, head)) = thinking else {
            return Ok(prefix);
        };
        let then = Then {
            tokens: then,
            hidden: needs_hidden,
            logits: options.dumps,
        };
        let hidden = prefix.take_hidden()?;
        let mut walked = match &plan.spans {
            Some(spans) => {
                head.fill(text, &mut prefix.cache, hidden, spans, then)
                    .await?
            }
            None => head.free(text, &mut prefix.cache, hidden, then).await?,
        };
        prefix.ids.truncate(ready.prompt.ids.len());
        prefix.ids.extend(&walked.tokens);
        prefix.ids.extend(then.tokens);
        prefix.hidden = walked.hidden.take();
        prefix.depth = Some(walked);
        clock.end("think");
        Ok(prefix)
    }
}
