//! The command line. A small library parses it, because a larger one takes longer to compile than the rest.

use crate::suite::Part;
use lexopt::prelude::*;
use std::{ffi::OsString, time::Duration};

pub(crate) const HELP: &str = "\
Policy Studio's own commands

Usage: cargo xtask <COMMAND>

Commands:
  demo [--no-open] [-- ARGUMENTS]  build the page and the binary, start the studio and open the page;
                                   ARGUMENTS are passed to `policy-studio serve`
  build                            build the page and the binary, and print the binary's path
  page [--force]                   build the page into dist/; with --force even when nothing has changed
  dev                              build the page quickly for development, and say how to view it
  lint                             formatting, lints and documentation; warnings fail
  test [PART] [--begin-within MIN] install what the tests need and run them; PART is rust, lint or browser. Without a PART,
                                   lints or browser tests that cannot begin within so many minutes are left out and named:
                                   for machines with a time limit on which nothing is built yet

Examples:
  cargo xtask demo
  cargo xtask demo -- --listen 0.0.0.0:9000
  cargo xtask test
  cargo xtask test browser         only the journeys in a real browser";

/// A command with its arguments.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Help,
    Demo {
        no_open: bool,
        /// Further arguments for `policy-studio serve`.
        serve: Vec<OsString>,
    },
    Build,
    Page {
        force: bool,
    },
    Dev,
    Lint,
    Test {
        /// All parts when absent.
        part: Option<Part>,
        /// Time after which no further part begins.
        begin_within: Option<Duration>,
    },
}

pub(crate) fn parse(mut parser: lexopt::Parser) -> Result<Command, lexopt::Error> {
    let mut command = match parser.next()? {
        None | Some(Long("help") | Short('h')) => return Ok(Command::Help),
        Some(Value(name)) => match name.to_str() {
            Some("help") => return Ok(Command::Help),
            Some("demo") => Command::Demo {
                no_open: false,
                serve: Vec::new(),
            },
            Some("build") => Command::Build,
            Some("page") => Command::Page { force: false },
            Some("dev") => Command::Dev,
            Some("lint") => Command::Lint,
            Some("test") => Command::Test {
                part: None,
                begin_within: None,
            },
            _ => return Err(format!("there is no command {name:?}").into()),
        },
        Some(argument) => return Err(argument.unexpected()),
    };
    while let Some(argument) = parser.next()? {
        match (&mut command, argument) {
            (_, Long("help") | Short('h')) => return Ok(Command::Help),
            (Command::Demo { no_open, .. }, Long("no-open")) => *no_open = true,
            (Command::Demo { serve, .. }, Value(value)) => serve.push(value),
            (Command::Page { force }, Long("force")) => *force = true,
            (
                Command::Test {
                    part: part @ None, ..
                },
                Value(value),
            ) => {
                *part = Some(value.parse_with(Part::named)?);
            }
            (Command::Test { begin_within, .. }, Long("begin-within")) => {
                let minutes: u32 = parser.value()?.parse()?;
                *begin_within = Some(Duration::from_secs(u64::from(minutes) * 60));
            }
            (_, argument) => return Err(argument.unexpected()),
        }
    }
    Ok(command)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used, reason = "a test fails by panicking")]

    use super::*;

    fn parsed(line: &str) -> Result<Command, String> {
        let arguments = line.split_whitespace();
        parse(lexopt::Parser::from_args(arguments)).map_err(|error| error.to_string())
    }

    #[test]
    fn commands_take_their_own_arguments() {
        assert_eq!(
            parsed("demo --no-open -- --listen 0.0.0.0:9000"),
            Ok(Command::Demo {
                no_open: true,
                serve: ["--listen", "0.0.0.0:9000"].map(OsString::from).to_vec()
            })
        );
        assert_eq!(parsed("page --force"), Ok(Command::Page { force: true }));
        let test = |part, minutes: Option<u64>| Command::Test {
            part,
            begin_within: minutes.map(|minutes| Duration::from_secs(minutes * 60)),
        };
        assert_eq!(parsed("test"), Ok(test(None, None)));
        assert_eq!(parsed("test rust"), Ok(test(Some(Part::Rust), None)));
        assert_eq!(parsed("test --begin-within 60"), Ok(test(None, Some(60))));
        assert_eq!(parsed(""), Ok(Command::Help));
        assert_eq!(parsed("lint --help"), Ok(Command::Help));
    }

    #[test]
    fn a_refusal_names_the_argument() {
        for (line, named) in [
            ("dmeo", "dmeo"),
            ("build --force", "--force"),
            ("test ruts", "ruts"),
            ("test rust browser", "browser"),
            ("test --begin-within soon", "soon"),
        ] {
            let error = parsed(line).expect_err(line);
            assert!(error.contains(named), "{line}: {error}");
        }
    }
}
