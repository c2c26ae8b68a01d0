//! All instructions of the simulator, as JSON on stdout.

use serde::Serialize;
use sim::{Color, Direction, Task, TaskFamily};

#[derive(Debug, Serialize)]
struct Wordings {
    family: usize,
    object: usize,
    direction: Option<usize>,
    canonical: String,
    wordings: Vec<String>,
}

/// All tasks, in the order of their codes.
pub(crate) fn all_tasks() -> Vec<Task> {
    let mut tasks = Vec::new();
    for family in TaskFamily::all() {
        for object in Color::ALL {
            if family == TaskFamily::Push {
                tasks.extend(Direction::ALL.map(|direction| Task {
                    family,
                    object,
                    direction: Some(direction),
                }));
            } else {
                tasks.push(Task {
                    family,
                    object,
                    direction: None,
                });
            }
        }
    }
    tasks
}

/// Code of a task: its index in [`all_tasks`].
pub(crate) fn code(task: &Task) -> Option<usize> {
    all_tasks().iter().position(|other| other == task)
}

/// Prints all instructions.
pub(crate) fn print() -> anyhow::Result<()> {
    let all: Vec<Wordings> = all_tasks()
        .iter()
        .map(|task| Wordings {
            family: TaskFamily::all()
                .iter()
                .position(|f| *f == task.family)
                .unwrap_or(0),
            object: Color::ALL
                .iter()
                .position(|c| *c == task.object)
                .unwrap_or(0),
            direction: task
                .direction
                .and_then(|d| Direction::ALL.iter().position(|o| *o == d)),
            canonical: task.canonical(),
            wordings: task.phrasings(),
        })
        .collect();
    println!("{}", serde_json::to_string_pretty(&all)?);
    Ok(())
}
