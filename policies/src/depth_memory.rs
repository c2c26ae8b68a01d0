//! The last depth map of each robot, for a policy that reasons about depth.
//!
//! The next depth map of a robot reuses the cells in which the image of its first camera has not changed. Another instruction
//! does not invalidate a map. Another embodiment does, and so does a failed call, because the map may be the cause of the
//! failure.

use molmoact2::{Depth, DepthCache};
use std::collections::HashMap;

/// Most robots; beyond this the least recently called one is forgotten. A cache of a published checkpoint takes 300 kB.
const MAX_ROBOTS: usize = 256;

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
    /// Takes out the cache from which the next call of a robot starts. After a successful call
    /// [`remember`](Self::remember) puts in its successor.
    pub(super) fn take(&mut self, robot: u64, tag: &str) -> Depth {
        let remembered = self.robots.remove(&robot);
        Depth::Adaptive {
            cache: remembered
                .filter(|remembered| remembered.tag == tag)
                .map(|remembered| remembered.cache),
        }
    }

    /// Forgets a robot that is gone.
    pub(super) fn forget(&mut self, robot: u64) {
        self.robots.remove(&robot);
    }

    /// Stores the cache of a successful call.
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
        if self.robots.len() > MAX_ROBOTS {
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
    fn the_least_recently_called_robot_is_forgotten() {
        let mut memory = DepthMemory::default();
        for robot in 0..=MAX_ROBOTS as u64 {
            memory.remember(robot, "arm", cache(1));
        }
        assert_eq!(taken(&mut memory, 0, "arm"), None);
        assert_eq!(taken(&mut memory, 1, "arm"), Some(1));
    }
}
