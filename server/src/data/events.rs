//! The records of commands to robots and of the viewers that gave them, as JSON lines.
//!
//! Stops, releases and the ends of instructions whose operator left are in `events.jsonl`. Instructions and scene resets are
//! in `commands.jsonl`, so that they can never displace a stop. In both files each viewer has an allowance per kind of event.
//! Events beyond it are counted, and their number is recorded as a line.
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

/// Largest burst of one viewer in the record of stops, per kind of event, in bytes.
const STOPS_BURST_BYTES: u32 = 256 << 10;
/// Largest burst of one viewer in the record of commands, per kind of event, in bytes.
const COMMANDS_BURST_BYTES: u32 = 64 << 10;

/// Both records.
#[derive(Debug)]
pub(crate) struct Events {
    stops: Record,
    commands: Record,
}

impl Events {
    /// Opens the records of a data folder for appending. Without a folder, events are only in the log.
    ///
    /// # Errors
    /// When a thread cannot be started.
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

    /// Records one event without waiting: `command`, `reset`, `stop`, `stop_all`, `release` or `operator_gone`. `by` is the
    /// viewer's number in this run of the studio, with the name of its client. `refused` is the code of the refusal; empty
    /// if the command was carried out.
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
    /// Code of the refusal; empty if there was none.
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
