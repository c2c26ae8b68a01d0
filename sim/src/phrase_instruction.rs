//! Phrasing of a task as an instruction, in many wordings.

use rand::Rng;
use rand::RngExt as _;

use crate::direction::Direction;
use crate::task::{Task, TaskFamily};

const CUBE_NOUNS: [&str; 2] = ["cube", "block"];

const REACH: [&str; 10] = [
    "reach the {c} {n}",
    "reach for the {c} {n}",
    "touch the {c} {n}",
    "point at the {c} {n}",
    "point to the {c} {n}",
    "go to the {c} {n}",
    "move to the {c} {n}",
    "move the gripper to the {c} {n}",
    "hover over the {c} {n}",
    "bring the gripper to the {c} {n}",
];
const PUSH: [&str; 8] = [
    "push the {c} {n} {d}",
    "slide the {c} {n} {d}",
    "move the {c} {n} {d}",
    "shove the {c} {n} {d}",
    "nudge the {c} {n} {d}",
    "give the {c} {n} a push {d}",
    "shift the {c} {n} {d}",
    "push the {c} one {d}",
];
const PICK_UP: [&str; 9] = [
    "pick up the {c} {n}",
    "pick the {c} {n} up",
    "lift the {c} {n}",
    "lift up the {c} {n}",
    "grab the {c} {n}",
    "grasp the {c} {n}",
    "raise the {c} {n}",
    "take the {c} {n}",
    "hold up the {c} {n}",
];
const PLACE: [&str; 9] = [
    "put the {c} {n} in the tray",
    "put the {c} {n} into the tray",
    "place the {c} {n} in the tray",
    "place the {c} {n} on the tray",
    "drop the {c} {n} into the tray",
    "move the {c} {n} to the tray",
    "pick up the {c} {n} and put it in the tray",
    "set the {c} {n} down in the tray",
    "bring the {c} {n} to the tray",
];

fn direction_phrases(direction: Direction) -> &'static [&'static str] {
    match direction {
        Direction::Left => &["to the left", "left", "leftwards", "to the left side"],
        Direction::Right => &["to the right", "right", "rightwards", "to the right side"],
        Direction::Forward => &[
            "forward",
            "forwards",
            "away from the camera",
            "away from me",
        ],
        Direction::Back => &["back", "backwards", "towards the camera", "towards me"],
    }
}

fn fill(template: &str, task: &Task, noun: &str, direction: &str) -> String {
    template
        .replace("{c}", task.object.name())
        .replace("{n}", noun)
        .replace("{d}", direction)
}

impl Task {
    /// Canonical wording, such as `push the red cube to the left`.
    pub fn canonical(&self) -> String {
        let (template, direction) = match (self.family, self.direction) {
            (TaskFamily::Reach, _) => ("reach the {c} {n}", ""),
            (TaskFamily::PickUp, _) => ("pick up the {c} {n}", ""),
            (TaskFamily::Place, _) => ("put the {c} {n} in the tray", ""),
            (TaskFamily::Push, Some(direction)) => (
                "push the {c} {n} {d}",
                direction_phrases(direction).first().copied().unwrap_or(""),
            ),
            (TaskFamily::Push, None) => ("push the {c} {n}", ""),
        };
        fill(template, self, "cube", direction)
    }

    /// All wordings from which [`instruction`](Self::instruction) draws.
    pub fn phrasings(&self) -> Vec<String> {
        let templates: &[&str] = match self.family {
            TaskFamily::Reach => &REACH,
            TaskFamily::Push => &PUSH,
            TaskFamily::PickUp => &PICK_UP,
            TaskFamily::Place => &PLACE,
        };
        let directions = self.direction.map_or(&[""] as &[&str], direction_phrases);
        let mut all = Vec::new();
        for template in templates {
            for noun in CUBE_NOUNS {
                for direction in directions {
                    let instruction = fill(template, self, noun, direction).trim_end().to_owned();
                    if !all.contains(&instruction) {
                        all.push(instruction);
                    }
                }
            }
        }
        all
    }

    /// A random wording.
    pub fn instruction(&self, rng: &mut impl Rng) -> String {
        let phrasings = self.phrasings();
        let index = rng.random_range(0..phrasings.len().max(1));
        phrasings
            .into_iter()
            .nth(index)
            .unwrap_or_else(|| self.canonical())
    }
}
