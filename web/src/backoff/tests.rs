use super::*;

/// Polls every 50 ms and returns the actions with their times.
fn watch(link: &mut Link, from: u32, to: u32, urgent: bool) -> Vec<(u32, LinkAction)> {
    (from..to)
        .step_by(50)
        .map(|now| (now, link.poll(f64::from(now), urgent)))
        .filter(|(_, action)| *action != LinkAction::Wait)
        .collect()
}

fn live() -> Link {
    let mut link = Link::new(0.0);
    assert_eq!(link.poll(0.0, false), LinkAction::Connect);
    link.opened();
    link.welcomed(0.0);
    link
}

#[test]
fn pauses_double_up_to_a_limit_and_start_over_after_success() {
    let mut connection = Connection::Live;
    let mut pauses = vec![];
    for _ in 0..12 {
        connection = connection.after_loss();
        if let Connection::Waiting { pause_millis, .. } = connection {
            pauses.push(pause_millis);
        }
    }
    assert_eq!(
        pauses.get(..5),
        Some([500, 1000, 2000, 4000, 5000].as_slice())
    );
    assert_eq!(pauses.last(), Some(&5000));
    assert_eq!(
        Connection::Live.after_loss(),
        Connection::Waiting {
            attempt: 1,
            pause_millis: 500
        }
    );
}

#[test]
fn only_another_version_is_final() {
    assert_eq!(Connection::Refused.after_loss(), Connection::Refused);
    let mut link = live();
    link.refuse();
    assert!(watch(&mut link, 0, 60_000, true).is_empty());
    link.closed(60_000.0);
    assert_eq!(link.connection(), Connection::Refused);
}

#[test]
fn a_second_of_silence_is_shown_and_after_two_the_socket_is_replaced() {
    let mut link = live();
    for now in (0..5_000).step_by(500) {
        link.message_received(f64::from(now));
        assert!(watch(&mut link, now, now + 500, false).is_empty());
        assert_eq!(link.connection(), Connection::Live);
    }
    // The last message was at 4500.
    watch(&mut link, 5_000, 5_500, false);
    assert_eq!(link.connection(), Connection::Live);
    watch(&mut link, 5_500, 5_550, false);
    assert_eq!(link.connection(), Connection::Silent);
    assert_eq!(
        watch(&mut link, 5_550, 6_600, false),
        [(6_500, LinkAction::Connect)],
        "no pause after two seconds of silence"
    );
    assert_eq!(link.connection().state(), "waiting");
}

#[test]
fn a_message_ends_the_silence() {
    let mut link = live();
    watch(&mut link, 0, 1_500, false);
    assert_eq!(link.connection(), Connection::Silent);
    link.message_received(1_500.0);
    assert_eq!(link.connection(), Connection::Live);
}

#[test]
fn the_newest_heartbeat_is_that_of_this_connection() {
    let mut link = live();
    assert_eq!(link.heard_beat(), None);
    for beat in [0, 2, 1] {
        link.heartbeat(beat);
    }
    assert_eq!(link.heard_beat(), Some(2));
    // A message sent into the silence of a dying link names the heartbeat before it.
    watch(&mut link, 0, 1_500, false);
    assert_eq!(link.heard_beat(), Some(2));
    let steps = watch(&mut link, 1_500, 2_500, false);
    assert_eq!(steps, [(2_000, LinkAction::Connect)]);
    link.opened();
    link.welcomed(2_500.0);
    assert_eq!(link.heard_beat(), None, "another connection counts anew");
}

#[test]
fn a_studio_that_does_not_know_echoes_is_sent_none_until_the_next_connection() {
    let mut link = live();
    assert!(link.echoes());
    assert!(link.echo_refused(), "the first refusal explains itself");
    assert!(!link.echoes());
    assert!(
        !link.echo_refused(),
        "a further one is about something else"
    );
    // The studio of the next connection may be newer.
    let steps = watch(&mut link, 0, 2_500, false);
    assert_eq!(steps, [(2_000, LinkAction::Connect)]);
    assert!(link.echoes());
}

#[test]
fn a_suspended_page_first_reads_its_waiting_messages() {
    let mut link = live();
    // A hidden tab runs once a second at best; its messages come after this poll.
    assert_eq!(link.poll(60_000.0, false), LinkAction::Wait);
    assert_eq!(link.connection(), Connection::Live);
    link.message_received(60_010.0);
    assert_eq!(link.poll(61_000.0, false), LinkAction::Wait);
    assert_eq!(link.connection(), Connection::Live);
    // Only once: without waiting messages, silence counts however rarely the page runs.
    assert_eq!(link.poll(62_000.0, false), LinkAction::Wait);
    assert_eq!(link.poll(63_000.0, false), LinkAction::Connect);
}

#[test]
fn an_attempt_that_hangs_is_given_up_and_made_again() {
    let mut link = Link::new(0.0);
    let steps = watch(&mut link, 0, 30_000, false);
    assert_eq!(
        steps.get(..4),
        Some(
            [
                (0, LinkAction::Connect),
                (2_000, LinkAction::Close),
                (2_500, LinkAction::Connect),
                (6_500, LinkAction::Close),
            ]
            .as_slice()
        )
    );
    assert!(steps.len() > 6, "{steps:?}");
}

#[test]
fn a_waiting_stop_and_a_page_in_view_shorten_the_pauses() {
    let mut link = live();
    for now in [0.0, 1.0, 2.0, 3.0, 4.0] {
        link.closed(now);
    }
    assert!(watch(&mut link, 50, 4_900, false).is_empty());
    assert_eq!(link.poll(4_900.0, true), LinkAction::Connect);
    link.closed(4_910.0);
    assert_eq!(
        watch(&mut link, 4_950, 5_300, true),
        [(5_200, LinkAction::Connect)]
    );
    link.closed(5_300.0);
    link.retry_now(5_350.0);
    assert_eq!(
        watch(&mut link, 5_350, 5_400, false),
        [(5_350, LinkAction::Connect)]
    );
}

#[test]
fn a_proxy_that_drops_the_upgrade_is_distinguished_from_an_absent_studio() {
    let fails = |link: &mut Link, at: f64| {
        link.retry_now(at);
        assert_eq!(link.poll(at, false), LinkAction::Connect);
        link.closed(at + 1.0);
    };
    let mut link = Link::new(0.0);
    for at in [0.0, 100.0] {
        fails(&mut link, at);
        assert_eq!(link.probe_due(), None);
    }
    fails(&mut link, 200.0);
    assert_eq!(link.probe_due(), Some(3));
    link.probed(3, true);
    assert_eq!(link.probe_due(), None, "once per attempt");
    assert!(
        !link.upgrade_is_blocked(),
        "the studio may have come up just now"
    );
    fails(&mut link, 300.0);
    link.probed(4, true);
    assert!(link.upgrade_is_blocked());
    // The studio is away: nothing is known of the proxy.
    fails(&mut link, 400.0);
    link.probed(5, false);
    assert!(!link.upgrade_is_blocked());
    fails(&mut link, 500.0);
    link.probed(6, true);
    fails(&mut link, 600.0);
    link.probed(7, true);
    link.retry_now(700.0);
    assert_eq!(link.poll(700.0, false), LinkAction::Connect);
    link.opened();
    assert!(!link.upgrade_is_blocked());
    // A late answer has no effect.
    link.probed(7, true);
    assert!(!link.upgrade_is_blocked());
}
