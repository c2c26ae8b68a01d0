//! Parses an instruction into a task.

use crate::direction::Direction;
use crate::objects::Color;
use crate::task::{Task, TaskFamily};
use crate::world::World;

/// An instruction that names no task in this scene. Each message lists the supported wordings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// No cube is named.
    #[error("which cube? The instruction {instruction:?} names no colour; here are: {present}")]
    NoColor {
        /// The instruction.
        instruction: String,
        /// The colors in the scene.
        present: String,
    },
    /// No cube in the scene has the named color.
    #[error("there is no {color} cube here; there are: {present}")]
    NoSuchCube {
        /// The color named.
        color: &'static str,
        /// The colors in the scene.
        present: String,
    },
    /// More than one cube is named.
    #[error("one cube at a time: the instruction {instruction:?} names {colors}")]
    SeveralCubes {
        /// The instruction.
        instruction: String,
        /// The colors named.
        colors: String,
    },
    /// More than one direction is named.
    #[error("one direction at a time: the instruction {instruction:?} names {directions}")]
    SeveralDirections {
        /// The instruction.
        instruction: String,
        /// The directions named.
        directions: String,
    },
    /// The verb is unknown or missing.
    #[error(
        "what should be done with the {color} cube? Understood are: reach, touch or point at it; push, slide or move \
         it left, right, forward or back; pick it up, lift or grab it; put or drop it in the tray"
    )]
    NoVerb {
        /// The color named.
        color: &'static str,
    },
    /// A push without a direction.
    #[error(
        "push the {color} cube where to? Understood are: left, right, forward (away from the camera), back (towards the camera)"
    )]
    NoDirection {
        /// The color named.
        color: &'static str,
    },
}

impl Task {
    /// Task of an instruction in this scene.
    ///
    /// Case, punctuation, articles and words of politeness are ignored. Cubes are distinguished by color; directions
    /// are those of the overview camera's image (see [`Direction`]).
    ///
    /// # Errors
    /// [`ParseError`] names the missing or ambiguous part and the supported wordings.
    pub fn parse(instruction: &str, world: &World) -> Result<Task, ParseError> {
        let words = Words::new(instruction);
        let object = words.cube(world)?;
        let color = object.name();
        let family = words.family().ok_or(ParseError::NoVerb { color })?;
        let direction = match family {
            TaskFamily::Push => Some(
                words
                    .direction()?
                    .ok_or(ParseError::NoDirection { color })?,
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

/// Lower-case words of an instruction.
struct Words<'a> {
    instruction: &'a str,
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
const HAND_NOUNS: [&str; 6] = ["gripper", "arm", "hand", "finger", "fingers", "fingertips"];

impl<'a> Words<'a> {
    fn new(instruction: &'a str) -> Self {
        let words = instruction
            .split(|c: char| !c.is_alphanumeric())
            .filter(|word| !word.is_empty())
            .map(str::to_lowercase)
            .collect();
        Self { instruction, words }
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

    fn cube(&self, world: &World) -> Result<Color, ParseError> {
        let present = || {
            let names: Vec<&str> = world.colors().iter().map(|color| color.name()).collect();
            names.join(", ")
        };
        let named: Vec<Color> = Color::ALL
            .into_iter()
            .filter(|color| self.has(&[color.name()]))
            .collect();
        match named.as_slice() {
            [] => Err(ParseError::NoColor {
                instruction: self.instruction.to_owned(),
                present: present(),
            }),
            [color] if world.colors().contains(color) => Ok(*color),
            [color] => Err(ParseError::NoSuchCube {
                color: color.name(),
                present: present(),
            }),
            several => {
                let colors: Vec<&str> = several.iter().map(|color| color.name()).collect();
                Err(ParseError::SeveralCubes {
                    instruction: self.instruction.to_owned(),
                    colors: colors.join(" and "),
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
            if directed && !self.has(&["gripper", "arm", "hand"]) {
                return Some(TaskFamily::Push);
            }
            let onwards = ["to", "over", "above", "towards", "toward"];
            if self.has(&HAND_NOUNS) || self.has_pair("move", &onwards) {
                return Some(TaskFamily::Reach);
            }
        }
        None
    }

    fn direction(&self) -> Result<Option<Direction>, ParseError> {
        let mut found: Vec<Direction> = Vec::new();
        let mut add = |direction: Direction, present: bool| {
            if present && !found.contains(&direction) {
                found.push(direction);
            }
        };
        let nearing = self.has(&["towards", "toward", "closer", "nearer"]);
        let leaving = self.has(&["away", "farther", "further"]);
        // The robot stands on the far side: towards it is away from the camera.
        let about_robot = self.has(&["robot", "base"]);
        let about_viewer = self.has(&["camera", "me", "viewer"]);
        add(
            Direction::Left,
            self.has(&["left", "leftward", "leftwards"]),
        );
        add(
            Direction::Right,
            self.has(&["right", "rightward", "rightwards"]),
        );
        add(
            Direction::Forward,
            self.has(&["forward", "forwards"])
                || (leaving && !about_robot)
                || (nearing && about_robot && !about_viewer),
        );
        add(
            Direction::Back,
            self.has(&["back", "backward", "backwards"])
                || (nearing && about_viewer)
                || (leaving && about_robot),
        );
        match found.as_slice() {
            [] => Ok(None),
            [direction] => Ok(Some(*direction)),
            several => {
                let names: Vec<&str> = several.iter().map(|direction| direction.name()).collect();
                Err(ParseError::SeveralDirections {
                    instruction: self.instruction.to_owned(),
                    directions: names.join(" and "),
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn every_wording_parses_as_its_task() {
        let mut phrasings = 0;
        for seed in 0..12 {
            let world = World::new(seed);
            for family in TaskFamily::all() {
                for object in world.colors() {
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
                        for wording in task.phrasings() {
                            phrasings += 1;
                            assert_eq!(Task::parse(&wording, &world), Ok(task), "{wording:?}");
                            let uppercase = format!(
                                "  Please, {}!! ",
                                wording.to_uppercase().replace("THE ", "")
                            );
                            assert_eq!(Task::parse(&uppercase, &world), Ok(task), "{uppercase:?}");
                        }
                    }
                }
            }
        }
        assert!(phrasings > 1000, "{phrasings}");
    }

    #[test]
    fn free_wordings_are_understood() {
        let world = World::new(3);
        let [present, ..] = world.colors() else {
            unreachable!("scenes have cubes")
        };
        let push = |direction| Task {
            family: TaskFamily::Push,
            object: *present,
            direction: Some(direction),
        };
        let plain = |family| Task {
            family,
            object: *present,
            direction: None,
        };
        for (instruction, task) in [
            (
                "Could you push {} towards the robot?",
                push(Direction::Forward),
            ),
            ("slide {} away from the robot", push(Direction::Back)),
            ("bring the {} one closer to me", push(Direction::Back)),
            ("Robot, put {} to the right please", push(Direction::Right)),
            (
                "i want you to GRAB that {} thing",
                plain(TaskFamily::PickUp),
            ),
            (
                "the {} block: into the bowl, put it",
                plain(TaskFamily::Place),
            ),
            (
                "move your fingers over the {} one",
                plain(TaskFamily::Reach),
            ),
        ] {
            let instruction = instruction.replace("{}", present.name());
            assert_eq!(
                Task::parse(&instruction, &world),
                Ok(task),
                "{instruction:?}"
            );
        }
    }

    #[test]
    fn errors_list_the_supported_wordings() {
        let world = World::new(3);
        let [present, ..] = world.colors() else {
            unreachable!("scenes have cubes")
        };
        let present = present.name();
        let absent = Color::ALL
            .into_iter()
            .find(|c| !world.colors().contains(c))
            .unwrap()
            .name();
        let text = |instruction: &str| Task::parse(instruction, &world).unwrap_err().to_string();
        assert!(text("push it to the left").contains(present));
        assert!(text(&format!("lift the {absent} cube")).contains(present));
        assert!(text(&format!("push the {present} cube")).contains("left, right, forward"));
        assert!(text(&format!("paint the {present} cube")).contains("pick it up"));
        assert!(
            text(&format!("push the {present} cube left and right")).contains("left and right")
        );
        assert!(text("lift the red and the blue cube").contains("red and blue"));
        assert!(text("").contains(present));
    }
}
