//! Comparison of a robot's hello with the statistics of its norm tag.
//!
//! A policy answers in the units and the joint order of its training data, and a chunk names neither. A robot with other
//! units would obey all the same, and move by the wrong amount or with the wrong joint. The statistics name no units, so the
//! numbers are compared. Impossible combinations are refused; doubtful ones and unknown units are warnings. Without
//! statistics or names there is no finding. A plain function.

mod unit;

use policies::TagInfo;
use protocol::{JointDescription, robot::RobotHello, viewer::ActionDimension};
use unit::{KNOWN, Unit};

/// Ratio of the actions' range to the joint's limits from which the units differ: degrees to radians is 57.
const ANOTHER_UNIT: f32 = 20.0;
/// Largest angle of a joint of an arm in radians: four turns.
const MAX_RADIANS: f32 = 8.0 * std::f32::consts::PI;
/// Largest angle that looks like radians: a little more than one turn.
const LOOKS_LIKE_RADIANS: f32 = 7.0;
/// Limits in degrees beyond which a joint is taken to be in degrees; hardly any arm turns less.
const TURNS_IN_DEGREES: f32 = 20.0;
/// Part of the range of a joint's actions that its limits must contain; with less, the units are doubtful.
const MIN_CONTAINED: f32 = 0.7;
/// Largest value in percent; recordings overshoot a little.
const MAX_PERCENT: f32 = 102.0;
/// Most joints that a message describes.
const MAX_DESCRIBED: usize = 3;
/// Most characters of a name in a message.
const NAME_CHARS: usize = 40;

/// A contradiction between a hello and the statistics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Contradiction {
    /// Error code for programs.
    pub(crate) code: &'static str,
    /// Both sides and the remedy.
    pub(crate) message: String,
    /// True if the policy must not drive this robot.
    pub(crate) refused: bool,
}

/// Contradictions between a robot's hello and the norm tag that it names; refusals first.
pub(crate) fn contradictions(hello: &RobotHello, tag: &TagInfo) -> Vec<Contradiction> {
    if let Some(count) = count(hello, tag) {
        // Without a one-to-one pairing only the names of units can be checked.
        return std::iter::once(count).chain(unknown(hello, tag)).collect();
    }
    let order = order(hello, tag);
    // In another order, ranges would be compared with those of other joints.
    let units = if order.is_some() {
        Vec::new()
    } else {
        units(hello, tag)
    };
    // A refusal for units names the unit of each joint already.
    let is_refused = units.iter().any(|contradiction| contradiction.refused);
    let unknown = unknown(hello, tag).filter(|_| !is_refused);
    let mut found: Vec<Contradiction> = order
        .into_iter()
        .chain(units)
        .chain(unknown)
        .chain(cameras(hello, tag))
        .collect();
    found.sort_by_key(|contradiction| !contradiction.refused);
    found
}

fn count(hello: &RobotHello, tag: &TagInfo) -> Option<Contradiction> {
    let (joints, dims) = (hello.joints.len(), tag.action.len());
    (joints != dims && dims > 0).then(|| Contradiction {
        code: "joint_count",
        message: format!(
            "the robot announces {joints} joints, and the policy's actions for the tag {:?} have {dims} values ({}); \
             announce the joints that the tag was recorded with, or name another tag",
            tag.tag,
            joined(tag.action.iter().map(|dimension| dimension.name.as_str())),
        ),
        // If states and actions of the tag differ in size, the robot may have announced the joints of its state.
        refused: joints != tag.state_dim,
    })
}

// ---- order

/// A joint name without the prefixes and suffixes of data sets. `None` if nothing is left.
fn plain(name: &str) -> Option<String> {
    let lower = name.to_ascii_lowercase();
    let lower = lower.strip_suffix(".pos").unwrap_or(&lower);
    let last = lower.rsplit(['.', '/']).next().unwrap_or(lower);
    let plain: String = last.chars().filter(char::is_ascii_alphanumeric).collect();
    let plain = plain.strip_prefix("main").unwrap_or(&plain);
    let plain = plain.strip_suffix("joint").unwrap_or(plain);
    (!plain.is_empty()).then(|| plain.to_owned())
}

/// Index of a name that occurs exactly once.
fn unique_index(names: &[Option<String>], name: &str) -> Option<usize> {
    let mut found = names
        .iter()
        .enumerate()
        .filter(|(_, other)| other.as_deref() == Some(name));
    let (index, _) = found.next()?;
    found.next().is_none().then_some(index)
}

fn order(hello: &RobotHello, tag: &TagInfo) -> Option<Contradiction> {
    let robot_names: Vec<_> = hello
        .joints
        .iter()
        .map(|joint| plain(&joint.name))
        .collect();
    let tag_names: Vec<_> = tag.action.iter().map(|dim| plain(&dim.name)).collect();
    let same_names = {
        let sorted = |names: &[Option<String>]| {
            let mut names = names.to_vec();
            names.sort();
            names
        };
        sorted(&robot_names) == sorted(&tag_names)
    };
    let mut moved = Vec::new();
    for (index, name) in robot_names.iter().enumerate() {
        let Some(name) = name else { continue };
        // Numbers may count from 0 on one side and from 1 on the other.
        let is_numbered = name.ends_with(|c: char| c.is_ascii_digit());
        if is_numbered && !same_names {
            continue;
        }
        if unique_index(&robot_names, name).is_some()
            && let Some(tag_index) = unique_index(&tag_names, name)
            && tag_index != index
        {
            moved.push(format!(
                "{:?} is number {} of the robot and number {} of the tag",
                hello
                    .joints
                    .get(index)
                    .map_or(name.clone(), |joint| shown(&joint.name)),
                index + 1,
                tag_index + 1
            ));
        }
    }
    if moved.is_empty() {
        return None;
    }
    Some(Contradiction {
        code: "joint_order",
        message: format!(
            "the robot's joints are in another order ({}) than those of the tag {:?} ({}): {}; announce joints, states \
             and actions in the order of the tag",
            joined(hello.joints.iter().map(|joint| joint.name.as_str())),
            tag.tag,
            joined(tag.action.iter().map(|dimension| dimension.name.as_str())),
            first_of(&moved),
        ),
        refused: true,
    })
}

// ---- units

/// Joints with an unknown unit, which cannot be checked by it.
fn unknown(hello: &RobotHello, tag: &TagInfo) -> Option<Contradiction> {
    let unknown = hello
        .joints
        .iter()
        .filter(|joint| Unit::of(&joint.unit) == Unit::Unknown);
    let descriptions: Vec<String> = unknown
        .map(|joint| match joint.unit.trim() {
            "" => format!("{:?} has no unit", shown(&joint.name)),
            unit => format!("{:?} has the unit {:?}", shown(&joint.name), shown(unit)),
        })
        .collect();
    (!descriptions.is_empty()).then(|| Contradiction {
        code: "units_unknown",
        message: format!(
            "the robot announces units that the studio does not know, so they were not compared with the data of the tag \
             {:?}: {}; announce one of {KNOWN}, and compare the units before the robot moves",
            tag.tag,
            first_of(&descriptions)
        ),
        refused: false,
    })
}

/// One joint with the statistics of its actions.
struct Pair<'a> {
    joint: &'a JointDescription,
    unit: Unit,
    low: f32,
    high: f32,
}

impl<'a> Pair<'a> {
    /// `None` if the statistics have no usable range.
    fn of(joint: &'a JointDescription, dimension: &ActionDimension) -> Option<Self> {
        // A calibration may invert a joint.
        let low = dimension.low.min(dimension.high);
        let high = dimension.low.max(dimension.high);
        let is_usable = dimension.normalised && low.is_finite() && high.is_finite() && high > low;
        is_usable.then_some(Self {
            joint,
            unit: Unit::of(&joint.unit),
            low,
            high,
        })
    }

    /// Largest absolute action.
    fn reach(&self) -> f32 {
        self.low.abs().max(self.high.abs())
    }

    /// Range of the actions relative to the limits.
    fn relative_range(&self) -> f32 {
        (self.high - self.low) / (self.joint.max - self.joint.min)
    }

    /// Part of the range of the actions that is inside the limits.
    fn contained(&self) -> f32 {
        let inside = self.high.min(self.joint.max) - self.low.max(self.joint.min);
        inside.max(0.0) / (self.high - self.low)
    }

    fn cannot_fit(&self) -> bool {
        let too_far = self.unit == Unit::Radians && self.reach() > MAX_RADIANS;
        let limits_reach = self.joint.min.abs().max(self.joint.max.abs());
        too_far
            || self.relative_range() > ANOTHER_UNIT
            // Limits as narrow as radians, and actions mostly outside them.
            || self.relative_range() > ANOTHER_UNIT / 4.0
                && limits_reach <= LOOKS_LIKE_RADIANS
                && self.contained() < 0.5
    }

    fn is_doubtful(&self) -> bool {
        self.contained() < MIN_CONTAINED || self.unit == Unit::Percent && self.reach() > MAX_PERCENT
    }

    /// A joint in degrees, and actions that would be tiny in degrees.
    fn looks_like_radians(&self) -> bool {
        self.unit == Unit::Degrees
            && self.reach() <= LOOKS_LIKE_RADIANS
            && self.joint.min.abs().max(self.joint.max.abs()) > TURNS_IN_DEGREES
    }

    fn describe(&self) -> String {
        let Self {
            joint, low, high, ..
        } = self;
        format!(
            "{:?} has limits {} to {} {}, and its actions range from {} to {}",
            shown(&joint.name),
            rounded(joint.min),
            rounded(joint.max),
            shown(&joint.unit),
            rounded(*low),
            rounded(*high)
        )
    }
}

/// Descriptions of the pairs for which `check` is true.
fn described<'a>(pairs: &[Pair<'a>], check: impl Fn(&Pair<'a>) -> bool) -> Vec<String> {
    let found = pairs.iter().filter(|pair| check(pair));
    found.map(Pair::describe).collect()
}

fn units(hello: &RobotHello, tag: &TagInfo) -> Vec<Contradiction> {
    // Policies without statistics pass everything through, from -1 to 1.
    if tag
        .action
        .iter()
        .all(|dim| dim.low == -1.0 && dim.high == 1.0)
    {
        return Vec::new();
    }
    let pairs: Vec<Pair<'_>> = hello
        .joints
        .iter()
        .zip(&tag.action)
        .filter_map(|(joint, dimension)| Pair::of(joint, dimension))
        .collect();
    let tag = &tag.tag;
    let impossible = described(&pairs, Pair::cannot_fit);
    if !impossible.is_empty() {
        return vec![Contradiction {
            code: "units_mismatch",
            message: format!(
                "the robot's units differ from those of the data of the tag {tag:?} (1st to 99th percentile): {}; send \
                 states and take actions in the units of the data, and announce limits in them",
                first_of(&impossible)
            ),
            refused: true,
        }];
    }
    let mut doubts = described(&pairs, Pair::is_doubtful);
    let radians = described(&pairs, Pair::looks_like_radians);
    // A single joint may hardly have moved in the data.
    if radians.len() * 2 > pairs.len() && pairs.len() > 1 {
        doubts.extend(radians);
    }
    if doubts.is_empty() {
        return Vec::new();
    }
    vec![Contradiction {
        code: "units_doubtful",
        message: format!(
            "the robot's units may differ from those of the data of the tag {tag:?} (1st to 99th percentile): {}; compare \
             them before the robot moves",
            first_of(&doubts)
        ),
        refused: false,
    }]
}

// ---- cameras

fn cameras(hello: &RobotHello, tag: &TagInfo) -> Option<Contradiction> {
    let announced = |camera: &String| hello.cameras.iter().any(|known| known.name == *camera);
    if hello.cameras.is_empty() || tag.cameras.iter().all(announced) {
        return None;
    }
    Some(Contradiction {
        code: "cameras_missing",
        message: format!(
            "the robot announces the cameras {}, and the policy needs {} for the tag {:?}; use these names",
            joined(hello.cameras.iter().map(|camera| camera.name.as_str())),
            joined(tag.cameras.iter().map(String::as_str)),
            tag.tag
        ),
        refused: false,
    })
}

// ---- messages

/// A name for a message: short, without control characters.
fn shown(name: &str) -> String {
    let printable = |char: char| if char.is_control() { ' ' } else { char };
    name.chars().take(NAME_CHARS).map(printable).collect()
}

/// The first names, separated by commas.
fn joined<'a>(names: impl Iterator<Item = &'a str>) -> String {
    const LISTED: usize = 16;
    let names: Vec<String> = names.take(LISTED).map(shown).collect();
    names.join(", ")
}

/// The first descriptions, and the number of the others.
fn first_of(descriptions: &[String]) -> String {
    let first: Vec<&str> = descriptions
        .iter()
        .take(MAX_DESCRIBED)
        .map(String::as_str)
        .collect();
    let more = descriptions.len().saturating_sub(MAX_DESCRIBED);
    if more > 0 {
        format!("{}; and {more} more", first.join("; "))
    } else {
        first.join("; ")
    }
}

/// A value with two decimals at most.
fn rounded(value: f32) -> f32 {
    let hundredths = (value * 100.0).round() / 100.0;
    if hundredths.is_finite() {
        hundredths
    } else {
        value
    }
}

#[cfg(test)]
mod tests;
