//! What a policy that reasons about depth remembers of each robot from one call to the next.
//!
//! The next depth map of a robot takes over the cells in which its first camera sees what it saw in the last
//! call. Another sentence changes nothing about that; another embodiment makes it worthless, and so does a call
//! that failed: the map it would have started from may be what made it fail.

use molmoact2::{Depth, DepthCache};
use std::collections::HashMap;

/// Robots remembered; beyond that the one that was not heard of for longest is forgotten. A cache of a published
/// checkpoint takes 300 kB.
const MOST: usize = 256;

#[derive(Debug)]
struct Remembered {
    tag: String,
    cache: DepthCache,
    last_call: u64,
}

/// The caches by robot.
#[derive(Debug, Default)]
pub(super) struct DepthMemory {
    robots: HashMap<u64, Remembered>,
    calls: u64,
}

impl DepthMemory {
    /// What the next call of a robot may start from. The cache is taken out: [`remember`](Self::remember) puts its
    /// successor in when the call went well.
    pub(super) fn take(&mut self, robot: u64, tag: &str) -> Depth {
        let remembered = self.robots.remove(&robot);
        Depth::Adaptive {
            cache: remembered
                .filter(|remembered| remembered.tag == tag)
                .map(|remembered| remembered.cache),
        }
    }

    /// A robot is gone, and so is what it saw.
    pub(super) fn forget(&mut self, robot: u64) {
        self.robots.remove(&robot);
    }

    /// Keeps what a call left.
    pub(super) fn remember(&mut self, robot: u64, tag: &str, cache: DepthCache) {
        self.calls += 1;
        self.robots.insert(
            robot,
            Remembered {
                tag: tag.to_owned(),
                cache,
                last_call: self.calls,
            },
        );
        if self.robots.len() > MOST {
            let oldest = self
                .robots
                .iter()
                .min_by_key(|(_, remembered)| remembered.last_call)
                .map(|(robot, _)| *robot);
            if let Some(oldest) = oldest {
                self.robots.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use vision::RgbImage;

    fn cache(code: u32) -> DepthCache {
        DepthCache {
            image: RgbImage::new(1, 1, vec![0; 3]).unwrap(),
            codes: vec![code],
        }
    }

    fn taken(memory: &mut DepthMemory, robot: u64, tag: &str) -> Option<u32> {
        match memory.take(robot, tag) {
            Depth::Adaptive { cache } => cache.map(|cache| cache.codes[0]),
            _ => None,
        }
    }

    #[test]
    fn each_robot_gets_its_own_cache_once() {
        let mut memory = DepthMemory::default();
        memory.remember(1, "arm", cache(10));
        memory.remember(2, "arm", cache(20));
        memory.remember(1, "arm", cache(11));
        assert_eq!(taken(&mut memory, 1, "arm"), Some(11));
        assert_eq!(taken(&mut memory, 1, "arm"), None, "the last call failed");
        assert_eq!(taken(&mut memory, 2, "hand"), None, "another embodiment");
        assert_eq!(taken(&mut memory, 3, "arm"), None);
    }

    #[test]
    fn the_robot_that_was_silent_for_longest_is_forgotten() {
        let mut memory = DepthMemory::default();
        for robot in 0..=MOST as u64 {
            memory.remember(robot, "arm", cache(1));
        }
        assert_eq!(taken(&mut memory, 0, "arm"), None);
        assert_eq!(taken(&mut memory, 1, "arm"), Some(1));
    }
}
