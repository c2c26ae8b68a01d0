#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;

fn robot(id: &str, connected: bool) -> RobotSummary {
    RobotSummary {
        robot_id: id.to_owned(),
        name: id.to_owned(),
        connected,
        left_unix_secs: (!connected).then_some(1),
        ..RobotSummary::default()
    }
}

fn ids(list: &Bytes) -> Vec<String> {
    let robots = protocol::decode::<RobotList>(list).unwrap().robots;
    robots.into_iter().map(|robot| robot.robot_id).collect()
}

fn entry(frame: &Bytes) -> RobotSummary {
    protocol::decode::<RobotChanged>(frame).unwrap().robot
}

#[test]
fn after_a_quiet_time_the_list_is_sent_and_then_what_changes_until_the_next() {
    let mut listing = Listing::default();
    let start = Instant::now();
    let after = |millis| start + Duration::from_millis(millis);
    assert!(listing.build(1, vec![robot("a", true)], start).is_empty());
    assert_eq!(ids(&listing.take_due(start).unwrap()), ["a"]);
    assert!(listing.take_due(start).is_none(), "all viewers have it");

    let robots = vec![robot("a", true), robot("b", true)];
    let entries = listing.build(2, robots.clone(), after(100));
    assert_eq!(entries.len(), 1);
    let (robot_id, frame) = &entries[0];
    assert_eq!(robot_id, "b");
    assert_eq!(entry(frame), robot("b", true));
    assert!(listing.take_due(after(100)).is_none());
    // An unchanged list yields no entries.
    assert!(listing.build(3, robots, after(200)).is_empty());
    assert!(listing.contains(3) && !listing.contains(4));
    // A robot that is forgotten has no entry; the list that follows lacks it.
    assert!(
        listing
            .build(4, vec![robot("b", true)], after(300))
            .is_empty()
    );
    assert_eq!(
        listing.due_in(after(300)),
        Some(LIST_PERIOD - Duration::from_millis(300))
    );
    let list = listing.take_due(start + LIST_PERIOD).unwrap();
    assert_eq!(ids(&list), ["b"]);
    assert_eq!(listing.due_in(start + LIST_PERIOD), None);
}

#[test]
fn all_callers_have_the_same_copy_until_something_changes() {
    let mut listing = Listing::default();
    let now = Instant::now();
    assert!(!listing.contains(0), "nothing was built");
    assert_eq!(listing.buildable_in(now), Duration::ZERO);
    listing.build(1, vec![robot("a", true)], now);
    let one = listing.json();
    listing.build(2, vec![robot("a", true)], now + BUILD_PERIOD);
    let other = listing.json();
    assert_eq!(one.as_ptr(), other.as_ptr());
    assert_eq!(listing.buildable_in(now + BUILD_PERIOD), BUILD_PERIOD);
    listing.build(3, vec![robot("a", false)], now + BUILD_PERIOD * 2);
    let json = String::from_utf8(listing.json().to_vec()).unwrap();
    assert!(
        json.starts_with("{\"robots\":[{\"robot_id\":\"a\"")
            && json.contains("\"left_unix_secs\":1"),
        "{json}"
    );
}

#[test]
fn between_two_lists_a_limited_number_of_entries_is_sent() {
    let mut listing = Listing::default();
    let now = Instant::now();
    listing.build(1, vec![robot("a", true)], now);
    listing.take_due(now).unwrap();
    let mut sent = 0;
    for number in 0..1000 {
        let name = format!("r{number}");
        sent += listing
            .build(2 + number, vec![robot(&name, true)], now)
            .len();
    }
    assert_eq!(sent, MAX_CHANGES);
    let list = listing.take_due(now + LIST_PERIOD).unwrap();
    assert_eq!(ids(&list), ["r999"]);
}

#[test]
fn when_too_much_changed_at_once_everything_waits_for_the_list() {
    let mut listing = Listing::default();
    let now = Instant::now();
    listing.build(1, vec![robot("a", true)], now);
    listing.take_due(now).unwrap();
    let many = (0..=MAX_CHANGES).map(|number| robot(&format!("r{number}"), true));
    let mut robots: Vec<RobotSummary> = many.collect();
    assert!(listing.build(2, robots.clone(), now).is_empty());
    robots.push(robot("z", true));
    assert!(listing.build(3, robots, now).is_empty(), "no gaps");
    let list = listing.take_due(now + LIST_PERIOD).unwrap();
    assert_eq!(ids(&list).len(), MAX_CHANGES + 2);
}

#[test]
fn of_more_robots_than_a_list_has_room_for_the_connected_ones_are_fitting() {
    let left = (0..MAX_ROBOTS).map(|number| robot(&format!("left{number}"), false));
    let here = (0..10).map(|number| robot(&format!("here{number}"), true));
    let robots = fitting(left.chain(here).collect());
    assert_eq!(robots.len(), MAX_ROBOTS);
    assert_eq!(robots.iter().filter(|robot| robot.connected).count(), 10);
    assert_eq!(robots[0].robot_id, "left10", "the oldest have gone");
    let here = (0..1000).map(|number| robot(&format!("here{number}"), true));
    assert_eq!(fitting(here.collect()).len(), MAX_ROBOTS);
}
