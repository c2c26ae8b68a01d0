//! Tasks as sentences: wordings for a task, and the task of a sentence.

use rand::Rng;
use rand::RngExt as _;

use crate::scene::Colour;
use crate::task::{Direction, Task, TaskFamily};
use crate::world::World;

/// A sentence that names no task in this scene. Each message says what would be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// No cube is named.
    #[error("which cube? The sentence {sentence:?} names no colour; here are: {present}")]
    NoColour {
        /// The sentence.
        sentence: String,
        /// The colours in the scene.
        present: String,
    },
    /// A colour is named that no cube here has.
    #[error("there is no {colour} cube here; there are: {present}")]
    NoSuchCube {
        /// The colour that was asked for.
        colour: &'static str,
        /// The colours in the scene.
        present: String,
    },
    /// More than one cube is named.
    #[error("one cube at a time: the sentence {sentence:?} names {colours}")]
    SeveralCubes {
        /// The sentence.
        sentence: String,
        /// The colours that were named.
        colours: String,
    },
    /// More than one direction is named.
    #[error("one direction at a time: the sentence {sentence:?} names {directions}")]
    SeveralDirections {
        /// The sentence.
        sentence: String,
        /// The directions that were named.
        directions: String,
    },
    /// The verb is unknown or missing.
    #[error(
        "what should be done with the {colour} cube? Understood are: reach, touch or point at it; push, slide or move \
         it left, right, forward or back; pick it up, lift or grab it; put or drop it in the tray"
    )]
    NoVerb {
        /// The colour that was named.
        colour: &'static str,
    },
    /// A push without a direction.
    #[error(
        "push the {colour} cube where to? Understood are: left, right, forward (away from the camera), back (towards the camera)"
    )]
    NoDirection {
        /// The colour that was named.
        colour: &'static str,
    },
}

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
    /// The plain wording: `push the red cube to the left`.
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

    /// Every wording that [`instruction`](Self::instruction) may give.
    pub fn wordings(&self) -> Vec<String> {
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
                    let sentence = fill(template, self, noun, direction).trim_end().to_owned();
                    if !all.contains(&sentence) {
                        all.push(sentence);
                    }
                }
            }
        }
        all
    }

    /// A wording at random.
    pub fn instruction(&self, rng: &mut impl Rng) -> String {
        let wordings = self.wordings();
        let index = rng.random_range(0..wordings.len().max(1));
        wordings
            .into_iter()
            .nth(index)
            .unwrap_or_else(|| self.canonical())
    }

    /// The task that a sentence asks for in this scene.
    ///
    /// Case, punctuation, articles and politeness do not matter. Cubes are told apart by colour; directions
    /// are those of the overview camera's viewer (see [`Direction`]).
    ///
    /// # Errors
    /// [`ParseError`] says what is missing or ambiguous and what would be understood.
    pub fn parse(instruction: &str, world: &World) -> Result<Task, ParseError> {
        let words = Words::new(instruction);
        let object = words.cube(world)?;
        let colour = object.name();
        let family = words.family().ok_or(ParseError::NoVerb { colour })?;
        let direction = match family {
            TaskFamily::Push => Some(
                words
                    .direction()?
                    .ok_or(ParseError::NoDirection { colour })?,
            ),
            TaskFamily::Reach | TaskFamily::PickUp | TaskFamily::Place => None,
        };
        Ok(Task {
            family,
            object,
            direction,
        })
    }
}

/// The lower-case words of a sentence.
struct Words<'a> {
    sentence: &'a str,
    words: Vec<String>,
}

const CONTAINERS: [&str; 8] = [
    "tray",
    "bowl",
    "bin",
    "basket",
    "container",
    "dish",
    "plate",
    "holder",
];
const PUSH_VERBS: [&str; 9] = [
    "push", "slide", "shove", "nudge", "shift", "drag", "poke", "pushing", "sweep",
];
const PICK_VERBS: [&str; 10] = [
    "pick", "lift", "grab", "grasp", "raise", "take", "hold", "grip", "get", "elevate",
];
const REACH_VERBS: [&str; 10] = [
    "reach", "touch", "point", "go", "hover", "approach", "tap", "reaching", "aim", "find",
];
const CARRY_VERBS: [&str; 6] = ["move", "bring", "put", "place", "drop", "set"];
const HAND_NOUNS: [&str; 7] = [
    "gripper",
    "arm",
    "hand",
    "finger",
    "fingers",
    "robot",
    "fingertips",
];

impl<'a> Words<'a> {
    fn new(sentence: &'a str) -> Self {
        let words = sentence
            .split(|c: char| !c.is_alphanumeric())
            .filter(|word| !word.is_empty())
            .map(str::to_lowercase)
            .collect();
        Self { sentence, words }
    }

    fn has(&self, set: &[&str]) -> bool {
        self.words.iter().any(|word| set.contains(&word.as_str()))
    }

    fn has_pair(&self, first: &str, second: &[&str]) -> bool {
        self.words.windows(2).any(|pair| match pair {
            [a, b] => a == first && second.contains(&b.as_str()),
            _ => false,
        })
    }

    fn cube(&self, world: &World) -> Result<Colour, ParseError> {
        let present = || {
            let names: Vec<&str> = world.colours().iter().map(|colour| colour.name()).collect();
            names.join(", ")
        };
        let named: Vec<Colour> = Colour::ALL
            .into_iter()
            .filter(|colour| self.has(&[colour.name()]))
            .collect();
        match named.as_slice() {
            [] => Err(ParseError::NoColour {
                sentence: self.sentence.to_owned(),
                present: present(),
            }),
            [colour] if world.colours().contains(colour) => Ok(*colour),
            [colour] => Err(ParseError::NoSuchCube {
                colour: colour.name(),
                present: present(),
            }),
            several => {
                let colours: Vec<&str> = several.iter().map(|colour| colour.name()).collect();
                Err(ParseError::SeveralCubes {
                    sentence: self.sentence.to_owned(),
                    colours: colours.join(" and "),
                })
            }
        }
    }

    fn family(&self) -> Option<TaskFamily> {
        let to_container = self.has(&CONTAINERS);
        let directed = matches!(self.direction(), Ok(Some(_)) | Err(_));
        if self.has(&PUSH_VERBS) {
            return Some(TaskFamily::Push);
        }
        if to_container && (self.has(&CARRY_VERBS) || self.has(&PICK_VERBS)) {
            return Some(TaskFamily::Place);
        }
        if self.has(&PICK_VERBS) {
            return Some(TaskFamily::PickUp);
        }
        if self.has(&REACH_VERBS) {
            return Some(TaskFamily::Reach);
        }
        if self.has(&CARRY_VERBS) {
            if self.has(&HAND_NOUNS)
                || self.words.first().is_some_and(|w| w == "move")
                    && self.has_pair("move", &["to", "over", "towards", "toward"])
            {
                return Some(TaskFamily::Reach);
            }
            if directed {
                return Some(TaskFamily::Push);
            }
        }
        None
    }

    fn direction(&self) -> Result<Option<Direction>, ParseError> {
        let camera = ["camera", "me", "viewer", "us", "you"];
        let mut found: Vec<Direction> = Vec::new();
        let mut note = |direction: Direction, present: bool| {
            if present && !found.contains(&direction) {
                found.push(direction);
            }
        };
        let viewer = self.has(&camera);
        note(
            Direction::Left,
            self.has(&["left", "leftward", "leftwards"]),
        );
        note(
            Direction::Right,
            self.has(&["right", "rightward", "rightwards"]),
        );
        note(
            Direction::Forward,
            self.has(&["forward", "forwards", "away", "farther", "further"]),
        );
        note(
            Direction::Back,
            self.has(&["back", "backward", "backwards", "closer", "nearer"])
                || viewer && self.has(&["towards", "toward"]),
        );
        match found.as_slice() {
            [] => Ok(None),
            [direction] => Ok(Some(*direction)),
            several => {
                let names: Vec<&str> = several.iter().map(|direction| direction.name()).collect();
                Err(ParseError::SeveralDirections {
                    sentence: self.sentence.to_owned(),
                    directions: names.join(" and "),
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_wording_of_every_task_reads_back_as_that_task() {
        let mut wordings = 0;
        for seed in 0..12 {
            let world = World::new(seed);
            for family in TaskFamily::all() {
                for object in world.colours() {
                    let directions: Vec<Option<Direction>> = match family {
                        TaskFamily::Push => Direction::ALL.into_iter().map(Some).collect(),
                        _ => vec![None],
                    };
                    for direction in directions {
                        let task = Task {
                            family,
                            object: *object,
                            direction,
                        };
                        assert_eq!(Task::parse(&task.canonical(), &world), Ok(task));
                        for wording in task.wordings() {
                            wordings += 1;
                            assert_eq!(Task::parse(&wording, &world), Ok(task), "{wording:?}");
                            let shouted = format!(
                                "  Please, {}!! ",
                                wording.to_uppercase().replace("THE ", "")
                            );
                            assert_eq!(Task::parse(&shouted, &world), Ok(task), "{shouted:?}");
                        }
                    }
                }
            }
        }
        assert!(wordings > 1000, "{wordings}");
    }

    #[test]
    fn errors_say_what_would_be_understood() {
        let world = World::new(3);
        let [here, ..] = world.colours() else {
            unreachable!("scenes have cubes")
        };
        let here = here.name();
        let absent = Colour::ALL
            .into_iter()
            .find(|c| !world.colours().contains(c))
            .unwrap()
            .name();
        let text = |sentence: &str| Task::parse(sentence, &world).unwrap_err().to_string();
        assert!(text("push it to the left").contains(here));
        assert!(text(&format!("lift the {absent} cube")).contains(here));
        assert!(text(&format!("push the {here} cube")).contains("left, right, forward"));
        assert!(text(&format!("paint the {here} cube")).contains("pick it up"));
        assert!(text(&format!("push the {here} cube left and right")).contains("left and right"));
        assert!(text("lift the red and the blue cube").contains("red and blue"));
        assert!(text("").contains(here));
    }
}
