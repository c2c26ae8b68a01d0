//! The studio's list of robots, kept up to date by its messages.

use protocol::viewer::RobotSummary;

/// Inserts or replaces an entry. Robots that the studio no longer lists are removed with the next complete list.
pub fn put(robots: &mut Vec<RobotSummary>, robot: RobotSummary) {
    let known = robots
        .iter_mut()
        .find(|known| known.robot_id == robot.robot_id);
    match known {
        Some(known) => *known = robot,
        None => robots.push(robot),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn robot(id: &str, connected: bool) -> RobotSummary {
        RobotSummary {
            robot_id: id.to_owned(),
            connected,
            ..RobotSummary::default()
        }
    }

    #[test]
    fn a_changed_robot_keeps_its_place_and_a_new_one_comes_last() {
        let mut robots = vec![robot("a", true), robot("b", true)];
        put(&mut robots, robot("a", false));
        put(&mut robots, robot("c", true));
        assert_eq!(
            robots,
            [robot("a", false), robot("b", true), robot("c", true)]
        );
    }
}
