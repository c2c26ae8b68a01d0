//! The `policy-studio` command: one file per subcommand.
//!
//! Exit status 0: done; 1: failed, with the reason on standard error; 2: invalid command line. Results go to standard
//! output, everything else to standard error.

mod act;
mod ask;
mod bench;
mod depth;
mod doctor;
mod eval;
mod fast;
mod inspect;
mod log;
mod measure;
mod path_text;
mod policy;
mod probe_adapter;
mod score;
mod scorer;
mod serve;
mod sim;
mod synthesize;

use clap::{Parser, Subcommand};
use std::{
    io::{IsTerminal as _, Write as _},
    process::ExitCode,
    time::Duration,
};

const EXAMPLES: &str = "\
Examples:
  policy-studio serve                          the studio with its simulated robot, at http://127.0.0.1:8080
  policy-studio serve --policy ~/MolmoAct2     the studio with your checkpoint
  policy-studio doctor                         devices and problems of this machine
  policy-studio inspect ~/MolmoAct2            description of a checkpoint and the memory it needs
  policy-studio eval --episodes 20             success rate of the policy in the simulator
  policy-studio score --scorer DIR --video episode.mp4 --instruction \"open the drawer\"
                                               a progress curve of a video, with its controls
  policy-studio fast inspect --tokenizer DIR   range and precision of an action tokenizer
  policy-studio bench live --json              speeds on this machine

Exit status: 0 if everything was done, 1 if something failed or there was nothing to do (the reason is on standard error),
2 if the command line was invalid.";

#[derive(Debug, Parser)]
#[command(
    name = "policy-studio",
    version,
    about = "Hosts a robot policy, bridges robots to it, and shows why the robot moved",
    after_help = EXAMPLES
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Serve),
    Sim(sim::Sim),
    Act(act::Act),
    Ask(ask::Ask),
    Eval(eval::Eval),
    Fast(fast::Fast),
    Bench(bench::Bench),
    Doctor(doctor::Doctor),
    Inspect(inspect::Inspect),
    Score(score::Score),
    #[command(name = "synthesise")]
    Synthesize(synthesize::Synthesize),
    #[command(hide = true)]
    ProbeAdapter(probe_adapter::ProbeAdapter),
}

/// The network's results are large and short-lived; the system allocator would return them to the system every time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Parses, runs, and turns the outcome into an exit status.
fn main() -> ExitCode {
    let Arguments { command } = Arguments::parse();
    start_log(&command);
    let outcome = match command {
        Command::Serve(serve) => serve.run(),
        Command::Sim(sim) => sim.run(),
        Command::Act(act) => act.run(),
        Command::Ask(ask) => ask.run(),
        Command::Eval(eval) => eval.run(),
        Command::Fast(fast) => fast.run(),
        Command::Bench(bench) => bench.run(),
        Command::Doctor(doctor) => doctor.run(),
        Command::Inspect(inspect) => inspect.run(),
        Command::Score(score) => score.run(),
        Command::Synthesize(synthesize) => synthesize.run(),
        Command::ProbeAdapter(probe) => {
            probe.run();
            Ok(ExitCode::SUCCESS)
        }
    };
    let status = outcome.unwrap_or_else(|error| {
        log::say(format_args!("error: {}", in_one_line(&error)));
        ExitCode::FAILURE
    });
    log::flush();
    status
}

/// An error with its causes in one line. A cause that the message already contains is not repeated.
fn in_one_line(error: &anyhow::Error) -> String {
    let mut line = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !line.contains(&cause) {
            line = format!("{line}: {cause}");
        }
    }
    line
}

/// Starts the log on standard error. A studio and a robot log at level info, through a queue, so that they never wait for
/// the reader; other commands log warnings only, so that lines do not disturb the progress bar.
fn start_log(command: &Command) {
    use tracing_subscriber::EnvFilter;
    let serves = matches!(command, Command::Serve(_) | Command::Sim(_));
    let default = if serves {
        "warn,policy_studio=info,server=info,policies=info,evaluation=info"
    } else {
        "warn"
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    if serves {
        let lines = log::queued();
        subscriber.with_writer(move || lines.clone()).init();
    } else {
        subscriber.with_writer(std::io::stderr).init();
    }
}

/// Writes a result to standard output, as one JSON object or as text. A pipe that its reader closed is not an error.
fn print<T: serde::Serialize + std::fmt::Display>(result: &T, json: bool) -> anyhow::Result<()> {
    let text = if json {
        serde_json::to_string_pretty(result)? + "\n"
    } else {
        result.to_string()
    };
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Time limit for the runtime's tasks to end.
const SHUTDOWN_WITHIN: Duration = Duration::from_millis(500);

/// A runtime for the asynchronous subcommands.
fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    use anyhow::Context as _;
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the asynchronous runtime")
}

/// Runs an asynchronous subcommand. Remaining threads are not waited for: one that computes may need minutes, and one that
/// hangs never ends.
fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = runtime()?;
    let done = runtime.block_on(work);
    runtime.shutdown_timeout(SHUTDOWN_WITHIN);
    done
}

#[cfg(test)]
mod tests {
    use super::in_one_line;

    #[test]
    fn a_cause_that_the_message_contains_is_not_repeated() {
        let cause = || std::io::Error::other("no such file");
        let error = anyhow::Error::new(cause())
            .context("chunk 3")
            .context("a.npy");
        assert_eq!(in_one_line(&error), "a.npy: chunk 3: no such file");
        let error = anyhow::Error::new(cause()).context("cannot read a.npy: no such file");
        assert_eq!(in_one_line(&error), "cannot read a.npy: no such file");
    }
}
