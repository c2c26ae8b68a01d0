//! Limits on questions with large images.

use super::{ask, read_answers, studio, wait_state};
use crate::support::*;
use protocol::{
    ErrorMessage, ToViewer, View, ViewEncoding,
    scene::{Answer, AnswerState},
};

/// A view with an announced size but without such an image.
fn large(name: &str) -> View {
    View {
        name: name.to_owned(),
        encoding: ViewEncoding::Jpeg,
        width: 4096,
        height: 4096,
        data: vec![0xff; 1000],
    }
}

async fn last(viewer: &mut server::client::ViewerClient, id: u64) -> Answer {
    read_answers(viewer, id).await.1.pop().unwrap()
}

#[tokio::test]
async fn images_are_counted_when_asked_and_decoded_when_answered() {
    let (studio, _) = studio().await;
    let mut robot = Robot::connect(&studio, "arm").await;
    let mut viewer = studio.watcher("arm").await;
    let mut seen = observation(1);
    seen.views = vec![large("eye"), large("ear")];
    robot.send(seen).await;
    wait_state(&mut viewer).await;
    ask(&mut viewer, 1, &["eye", "ear"], "anything").await;
    let refused = last(&mut viewer, 1).await;
    assert_eq!(refused.state, AnswerState::Failed);
    assert!(refused.error.contains("33554432 pixels"), "{refused:?}");
    // One alone fits the limit, so its decoding is tried.
    ask(&mut viewer, 2, &["eye"], "anything").await;
    let (_, answers) = read_answers(&mut viewer, 2).await;
    let refused = answers.last().unwrap();
    assert_eq!(refused.state, AnswerState::Failed);
    assert!(refused.error.contains("\"eye\""), "{refused:?}");
    robot.send(observation(2)).await;
    wait_state(&mut viewer).await;
    ask(&mut viewer, 3, &["eye"], "well?").await;
    assert_eq!(last(&mut viewer, 3).await.text, "well?");
}

#[tokio::test]
async fn eight_times_the_same_image_is_refused() {
    #[derive(serde::Serialize)]
    struct Eightfold {
        robot_id: &'static str,
        question_id: u64,
        cameras: [&'static str; 8],
        question: &'static str,
    }
    let (studio, _) = studio().await;
    let _robot = Robot::connect(&studio, "arm").await;
    let mut socket = dial(&studio, "/ws/viewer").await;
    let hello = protocol::viewer::ViewerHello {
        client: "test".to_owned(),
    };
    let question = Eightfold {
        robot_id: "arm",
        question_id: 1,
        cameras: ["eye"; 8],
        question: "anything",
    };
    let mut frame = b"PS\x01\x27".to_vec();
    frame.extend(rmp_serde::to_vec_named(&question).unwrap());
    for frame in [protocol::encode(&hello).unwrap(), frame] {
        let message = tokio_tungstenite::tungstenite::Message::Binary(frame.into());
        futures_util::SinkExt::send(&mut socket, message)
            .await
            .unwrap();
    }
    let error: ErrorMessage = loop {
        let item = futures_util::StreamExt::next(&mut socket).await;
        if let Some(Ok(tokio_tungstenite::tungstenite::Message::Binary(frame))) = item
            && let Ok(ToViewer::Error(error)) = ToViewer::decode(&frame)
        {
            break error;
        }
    };
    assert_eq!(error.code, "invalid");
    assert!(
        error.message.contains("\"eye\" is named twice"),
        "{error:?}"
    );
}
