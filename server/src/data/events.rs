//! The record of what people did to robots, with who did it, as JSON lines.
//!
//! Stops, releases and the ends of instructions whose operator left are in `events.jsonl`; instructions and fresh scenes
//! are in `commands.jsonl`, so that no number of them takes the place of a stop. In both, one viewer has an allowance for
//! each kind of event: what goes beyond it is counted, and the number is a line.
//!
//! - [`record`]: one of the two files and the thread that appends to it
//! - [`ration`]: the allowances

mod ration;
mod record;

use super::DataFolder;
use crate::health::{Health, Rule};
use record::Record;
use std::{
    io,
    time::{SystemTime, UNIX_EPOCH},
};

/// What one viewer may fill at once of the record of stops, per kind of event, in bytes.
const STOPS_BURST_BYTES: u32 = 256 << 10;
/// The same of the record of commands.
const COMMANDS_BURST_BYTES: u32 = 64 << 10;

/// Both records.
#[derive(Debug)]
pub(crate) struct Events {
    stops: Record,
    commands: Record,
}

impl Events {
    /// Appends to the records of a data folder; without one, events are in the log alone.
    ///
    /// # Errors
    /// When there is no thread.
    pub(crate) fn open(data: Option<&DataFolder>, health: &Health) -> io::Result<Self> {
        let Some(data) = data else {
            return Ok(Self {
                stops: Record::nowhere(),
                commands: Record::nowhere(),
            });
        };
        let stops = health.part("the record of stops", Rule::Fixed);
        let commands = health.part("the record of commands", Rule::Fixed);
        Ok(Self {
            stops: Record::open(data, "events", STOPS_BURST_BYTES, stops)?,
            commands: Record::open(data, "commands", COMMANDS_BURST_BYTES, commands)?,
        })
    }

    /// Takes note of one event: `command`, `reset`, `stop`, `stop_all`, `release`, `operator_gone`. `by` is the viewer's
    /// number in this run of the studio, with the client that it named; `refused` is empty when it was carried out.
    /// Never waits.
    pub(crate) fn note(
        &self,
        what: &'static str,
        robot_id: &str,
        by: &str,
        text: &str,
        refused: &str,
    ) {
        tracing::debug!("{what} {robot_id} by {by}: {text:?} {refused}");
        let record = match what {
            "command" | "reset" => &self.commands,
            _ => &self.stops,
        };
        record.note(&Event::now(what, robot_id, by, text, refused));
    }
}

/// One line of a record.
#[derive(Debug, serde::Serialize)]
struct Event<'a> {
    /// Milliseconds since 1970, UTC.
    at_unix_millis: u64,
    what: &'static str,
    robot_id: &'a str,
    by: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    text: &'a str,
    /// Why it was refused; empty when it was not.
    #[serde(skip_serializing_if = "str::is_empty")]
    refused: &'a str,
}

impl<'a> Event<'a> {
    fn now(
        what: &'static str,
        robot_id: &'a str,
        by: &'a str,
        text: &'a str,
        refused: &'a str,
    ) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            at_unix_millis: now.map_or(0, |at| at.as_millis().try_into().unwrap_or(u64::MAX)),
            what,
            robot_id,
            by,
            text,
            refused,
        }
    }
}

#[cfg(test)]
mod tests;
