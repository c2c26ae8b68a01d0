//! The studio's page, which shows a robot and the policy that moves it.
//!
//! The page renders state and sends commands. The compute worker (`wasm/`) decodes action tokens and depth codes and scores
//! videos; the studio computes everything else. All logic is plain Rust with native tests, in these modules. The panels are
//! in `ui`, which exists in a browser only.
//!
//! - Connection: [`backoff`] (liveness of the link, and reconnecting), [`studio_url`] (URLs under the path of a
//!   proxy), [`latest`] (one request in flight, the newest wins)
//! - Robot: [`robot_list`] (all robots of the studio), [`status_text`] (status as text), [`stopping`] (stops, from the press to the studio's answer),
//!   [`pending_instruction`] (an instruction, until the studio is known to have it),
//!   [`joint_history`] (recent joint states), [`units`] (normalized values in robot units), [`plot`] (geometry of a plot)
//! - Decisions: [`decisions`] (recent chunks and their decodes), [`prompt`] (text, special tokens and images),
//!   [`token_stream`] (tokens of a decision in progress), [`partial_decode`] (decode of the first tokens),
//!   [`coefficients`] (DCT coefficients as colors), [`trajectory`] (geometry of a joint's
//!   trajectory), [`what_if`] (a chunk that the viewer edits), [`depth`] (depth reasoning)
//! - Questions: [`scene_question`] (a question about the scene and its answer)
//! - Scores: [`scorer`] (the scorer and its state in this tab), [`score_job`] (one scoring job), [`score_http`] (a job over
//!   HTTP), [`frame_sampling`] (frames that a scorer is shown), [`auto_score`] (scoring from instruction to instruction),
//!   [`curves`] (geometry of progress curves), [`score_summary`] (numbers and warnings)
//! - Throughout: [`compute`] (state of the compute worker), [`depth_colors`] (depth as color), [`mod@format`] (numbers,
//!   units and names)
//!
//! `README.md` lists the hooks for browser tests.

pub mod auto_score;
pub mod backoff;
pub mod coefficients;
pub mod compute;
pub mod curves;
pub mod decisions;
pub mod depth;
pub mod depth_colors;
pub mod format;
pub mod frame_sampling;
pub mod joint_history;
pub mod latest;
pub mod partial_decode;
pub mod pending_instruction;
pub mod plot;
pub mod prompt;
pub mod robot_list;
pub mod scene_question;
pub mod score_http;
pub mod score_job;
pub mod score_summary;
pub mod scorer;
pub mod status_text;
pub mod stopping;
pub mod studio_url;
#[cfg(test)]
mod test_status;
pub mod token_stream;
pub mod trajectory;
pub mod units;
pub mod what_if;

#[cfg(target_family = "wasm")]
pub mod ui;
