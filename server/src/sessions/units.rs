//! What a robot announces about its joints, held against the statistics of its norm tag.
//!
//! A policy answers in the units and in the order of the data it was trained with, and nothing in a chunk says which
//! those are. A robot that counts in others obeys all the same, and moves by the wrong amount or with the wrong joint.
//! Neither side names the other's unit, so the numbers are compared: what cannot fit is refused, what is doubtful is
//! told, and so is a word for a unit that is not known. A plain function; where statistics or names are missing nothing is
//! claimed.

mod unit;

use policies::TagInfo;
use protocol::{JointDescription, robot::RobotHello, viewer::ActionDimension};
use unit::{KNOWN, Unit};

/// A range that is so many times as wide as a joint's limits is in another unit: radians against degrees are 57 times.
const ANOTHER_UNIT: f32 = 20.0;
/// An angle in radians beyond this is none of a joint of an arm: four turns.
const RADIANS_AT_MOST: f32 = 8.0 * std::f32::consts::PI;
/// The same for what looks like radians: one turn, and a little.
const LOOKS_LIKE_RADIANS: f32 = 7.0;
/// An arm that turns no further than this many degrees either way hardly exists.
const TURNS_IN_DEGREES: f32 = 20.0;
/// The part of the range of a joint's actions that its limits must hold, or they are doubtful.
const MUST_HOLD: f32 = 0.7;
/// What percents reach at most; recordings overshoot a little.
const PERCENT_AT_MOST: f32 = 102.0;
/// Joints that a sentence names.
const NAMED: usize = 3;
/// Characters of a name that a sentence shows.
const NAME_CHARS: usize = 40;

/// Something that does not agree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Contradiction {
    /// A word for programs.
    pub(crate) code: &'static str,
    /// Both sides, and what to do.
    pub(crate) message: String,
    /// The policy must not drive this robot.
    pub(crate) refused: bool,
}

/// What does not agree between a robot and the embodiment that it says it is, the worst first.
pub(crate) fn contradictions(hello: &RobotHello, tag: &TagInfo) -> Vec<Contradiction> {
    if let Some(count) = count(hello, tag) {
        // Nothing else can be compared.
        return std::iter::once(count).chain(unknown(hello, tag)).collect();
    }
    let order = order(hello, tag);
    // Joints in another order have each other's ranges.
    let units = if order.is_some() {
        Vec::new()
    } else {
        units(hello, tag)
    };
    // Those sentences name the words, too.
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
            named(tag.action.iter().map(|dimension| dimension.name.as_str())),
        ),
        // Where states and actions differ in size, a robot may mean the states.
        refused: joints != tag.state_dim,
    })
}

// ---- order

/// A name without the things that writers of data sets add to it. `None` for one that says nothing.
fn plain(name: &str) -> Option<String> {
    let lower = name.to_ascii_lowercase();
    let lower = lower.strip_suffix(".pos").unwrap_or(&lower);
    let last = lower.rsplit(['.', '/']).next().unwrap_or(lower);
    let plain: String = last.chars().filter(char::is_ascii_alphanumeric).collect();
    let plain = plain.strip_prefix("main").unwrap_or(&plain);
    let plain = plain.strip_suffix("joint").unwrap_or(plain);
    (!plain.is_empty()).then(|| plain.to_owned())
}

/// Where the only one of that name is.
fn places(names: &[Option<String>], wanted: &str) -> Option<usize> {
    let mut found = names
        .iter()
        .enumerate()
        .filter(|(_, name)| name.as_deref() == Some(wanted));
    let (place, _) = found.next()?;
    found.next().is_none().then_some(place)
}

fn order(hello: &RobotHello, tag: &TagInfo) -> Option<Contradiction> {
    let theirs: Vec<_> = hello
        .joints
        .iter()
        .map(|joint| plain(&joint.name))
        .collect();
    let ours: Vec<_> = tag.action.iter().map(|dim| plain(&dim.name)).collect();
    let same_names = {
        let sorted = |names: &[Option<String>]| {
            let mut names = names.to_vec();
            names.sort();
            names
        };
        sorted(&theirs) == sorted(&ours)
    };
    let mut elsewhere = Vec::new();
    for (place, name) in theirs.iter().enumerate() {
        let Some(name) = name else { continue };
        // Numbers may count from 0 on one side and from 1 on the other.
        let is_numbered = name.ends_with(|c: char| c.is_ascii_digit());
        if is_numbered && !same_names {
            continue;
        }
        if places(&theirs, name).is_some()
            && let Some(there) = places(&ours, name)
            && there != place
        {
            elsewhere.push(format!(
                "{:?} is number {} of the robot and number {} of the tag",
                hello
                    .joints
                    .get(place)
                    .map_or(name.clone(), |joint| shown(&joint.name)),
                place + 1,
                there + 1
            ));
        }
    }
    if elsewhere.is_empty() {
        return None;
    }
    Some(Contradiction {
        code: "joint_order",
        message: format!(
            "the robot's joints are in another order ({}) than those of the tag {:?} ({}): {}; announce joints, states \
             and actions in the order of the tag",
            named(hello.joints.iter().map(|joint| joint.name.as_str())),
            tag.tag,
            named(tag.action.iter().map(|dimension| dimension.name.as_str())),
            some(&elsewhere),
        ),
        refused: true,
    })
}

// ---- units

/// Joints whose unit is a word that is not known: by it nothing can be checked.
fn unknown(hello: &RobotHello, tag: &TagInfo) -> Option<Contradiction> {
    let unknown = hello
        .joints
        .iter()
        .filter(|joint| Unit::of(&joint.unit) == Unit::Unknown);
    let words: Vec<String> = unknown
        .map(|joint| match joint.unit.trim() {
            "" => format!("{:?} names none", shown(&joint.name)),
            unit => format!("{:?} counts in {:?}", shown(&joint.name), shown(unit)),
        })
        .collect();
    (!words.is_empty()).then(|| Contradiction {
        code: "units_unknown",
        message: format!(
            "the robot announces units that the studio does not know, so that they are not held against the data of the tag \
             {:?}: {}; announce one of {KNOWN}, and compare before it moves",
            tag.tag,
            some(&words)
        ),
        refused: false,
    })
}

/// One joint beside its statistics.
struct Pair<'a> {
    joint: &'a JointDescription,
    unit: Unit,
    low: f32,
    high: f32,
}

impl<'a> Pair<'a> {
    /// `None` where the statistics say nothing about units.
    fn of(joint: &'a JointDescription, dimension: &ActionDimension) -> Option<Self> {
        // A calibration may turn a joint around.
        let low = dimension.low.min(dimension.high);
        let high = dimension.low.max(dimension.high);
        let says = dimension.normalised && low.is_finite() && high.is_finite() && high > low;
        says.then_some(Self {
            joint,
            unit: Unit::of(&joint.unit),
            low,
            high,
        })
    }

    fn reach(&self) -> f32 {
        self.low.abs().max(self.high.abs())
    }

    /// How many times as wide as the limits the actions are.
    fn times_as_wide(&self) -> f32 {
        (self.high - self.low) / (self.joint.max - self.joint.min)
    }

    /// The part of the actions that is inside the limits.
    fn held(&self) -> f32 {
        let inside = self.high.min(self.joint.max) - self.low.max(self.joint.min);
        inside.max(0.0) / (self.high - self.low)
    }

    fn cannot_fit(&self) -> bool {
        let too_far = self.unit == Unit::Radians && self.reach() > RADIANS_AT_MOST;
        let limits_reach = self.joint.min.abs().max(self.joint.max.abs());
        too_far
            || self.times_as_wide() > ANOTHER_UNIT
            // Limits as narrow as radians, and actions that hardly touch them.
            || self.times_as_wide() > ANOTHER_UNIT / 4.0
                && limits_reach <= LOOKS_LIKE_RADIANS
                && self.held() < 0.5
    }

    fn is_doubtful(&self) -> bool {
        self.held() < MUST_HOLD || self.unit == Unit::Percent && self.reach() > PERCENT_AT_MOST
    }

    /// A robot that counts in degrees, and actions that would be next to nothing in them.
    fn looks_like_radians(&self) -> bool {
        self.unit == Unit::Degrees
            && self.reach() <= LOOKS_LIKE_RADIANS
            && self.joint.min.abs().max(self.joint.max.abs()) > TURNS_IN_DEGREES
    }

    fn words(&self) -> String {
        let Self {
            joint, low, high, ..
        } = self;
        format!(
            "{:?} has limits {} to {} {}, its actions went from {} to {}",
            shown(&joint.name),
            figure(joint.min),
            figure(joint.max),
            shown(&joint.unit),
            figure(*low),
            figure(*high)
        )
    }
}

fn words<'a>(pairs: &[Pair<'a>], wanted: impl Fn(&Pair<'a>) -> bool) -> Vec<String> {
    let wanted = pairs.iter().filter(|pair| wanted(pair));
    wanted.map(Pair::words).collect()
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
    let cannot = words(&pairs, Pair::cannot_fit);
    if !cannot.is_empty() {
        return vec![Contradiction {
            code: "units_mismatch",
            message: format!(
                "the robot counts in other units than the data of the tag {tag:?} (1st to 99th percentile): {}; send \
                 states and take actions in the units of the data, and announce limits in them",
                some(&cannot)
            ),
            refused: true,
        }];
    }
    let mut doubts = words(&pairs, Pair::is_doubtful);
    let radians = words(&pairs, Pair::looks_like_radians);
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
            "the robot may count in other units than the data of the tag {tag:?} (1st to 99th percentile): {}; compare \
             before it moves",
            some(&doubts)
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
            "the robot announces the cameras {}, and the policy looks at {} for the tag {:?}; name them so",
            named(hello.cameras.iter().map(|camera| camera.name.as_str())),
            named(tag.cameras.iter().map(String::as_str)),
            tag.tag
        ),
        refused: false,
    })
}

// ---- words

fn shown(name: &str) -> String {
    let printable = |char: char| if char.is_control() { ' ' } else { char };
    name.chars().take(NAME_CHARS).map(printable).collect()
}

fn named<'a>(names: impl Iterator<Item = &'a str>) -> String {
    const LISTED: usize = 16;
    let names: Vec<String> = names.take(LISTED).map(shown).collect();
    names.join(", ")
}

fn some(sentences: &[String]) -> String {
    let named: Vec<&str> = sentences.iter().take(NAMED).map(String::as_str).collect();
    let more = sentences.len().saturating_sub(NAMED);
    if more > 0 {
        format!("{}; and {more} more", named.join("; "))
    } else {
        named.join("; ")
    }
}

/// Two decimals at most.
fn figure(value: f32) -> f32 {
    let rounded = (value * 100.0).round() / 100.0;
    if rounded.is_finite() { rounded } else { value }
}

#[cfg(test)]
mod tests;
