//! Processor time: what work costs, whatever else the machine does meanwhile.

use std::time::Duration;

/// Time that this process has had a processor, all its threads together; none where the system does not say (it is read
/// from Linux's `/proc`, in steps of 10 ms).
#[must_use]
pub(crate) fn processor_time() -> Option<Duration> {
    parse(&std::fs::read_to_string("/proc/self/stat").ok()?)
}

/// The fields after the command's name, which may have spaces and brackets of its own: user time is the twelfth, system
/// time the thirteenth, in hundredths of a second.
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
    fn times_stand_behind_the_name() {
        let stat = "42 (a (b) c) S 1 2 3 4 5 6 7 8 9 10 150 27 0 0 20 0 4 0 99";
        assert_eq!(parse(stat), Some(Duration::from_millis(1770)));
        assert_eq!(parse("42 (a) S 1"), None);
        assert_eq!(parse(""), None);
    }
}
