//! CPU time, which measures work independently of other load on the machine.

use std::time::Duration;

/// CPU time of all threads of this process; `None` if the system does not report it. It is read from Linux's `/proc`, in
/// steps of 10 ms.
#[must_use]
pub(crate) fn processor_time() -> Option<Duration> {
    parse(&std::fs::read_to_string("/proc/self/stat").ok()?)
}

/// Parses `/proc/self/stat`. The command's name may contain spaces and brackets; of the fields after it, user time is the
/// twelfth and system time the thirteenth, in hundredths of a second.
fn parse(stat: &str) -> Option<Duration> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(11);
    let user: u64 = times.next()?.parse().ok()?;
    let system: u64 = times.next()?.parse().ok()?;
    Some(Duration::from_millis(10 * (user + system)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_after_the_name() {
        let stat = "42 (a (b) c) S 1 2 3 4 5 6 7 8 9 10 150 27 0 0 20 0 4 0 99";
        assert_eq!(parse(stat), Some(Duration::from_millis(1770)));
        assert_eq!(parse("42 (a) S 1"), None);
        assert_eq!(parse(""), None);
    }
}
