//! Commands and waits of a viewer.

use super::SOON;
use protocol::{
    Mode, ToViewer,
    viewer::{Command, RobotDetails, RobotStatus},
};
use server::client::ViewerClient;

pub async fn command(viewer: &mut ViewerClient, robot_id: &str, text: &str) {
    let command = Command {
        robot_id: robot_id.to_owned(),
        text: text.to_owned(),
        mode: Mode::Continuous,
        heard_beat: None,
    };
    viewer.send(&command.into()).await.unwrap();
}

pub async fn wait_status(
    viewer: &mut ViewerClient,
    wanted: impl Fn(&RobotStatus) -> bool,
) -> RobotStatus {
    viewer
        .wait_for("a status", SOON, |message| match message {
            ToViewer::Status(status) if wanted(&status) => Some(status),
            _ => None,
        })
        .await
        .unwrap()
}

pub async fn wait_details(
    viewer: &mut ViewerClient,
    wanted: impl Fn(&RobotDetails) -> bool,
) -> RobotDetails {
    viewer
        .wait_for("the details", SOON, |message| match message {
            ToViewer::Details(details) if wanted(&details) => Some(details),
            _ => None,
        })
        .await
        .unwrap()
}

pub async fn wait_error(viewer: &mut ViewerClient) -> protocol::ErrorMessage {
    viewer
        .wait_for("an error", SOON, |message| match message {
            ToViewer::Error(error) => Some(error),
            _ => None,
        })
        .await
        .unwrap()
}
