//! A viewer as a program: connects, watches, commands. For `bench`, tests and scripts.

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use protocol::{FrameError, FromViewer, ToViewer, viewer::ViewerHello};
use std::time::Duration;
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, tungstenite};

/// What a viewer's connection can fail with.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The transport failed.
    #[error("the connection to the studio failed: {0}")]
    Transport(#[from] Box<tungstenite::Error>),
    /// A frame was broken.
    #[error("the studio sent a broken frame: {0}")]
    Frame(#[from] FrameError),
    /// The studio closed.
    #[error("the studio closed the connection")]
    Closed,
    /// Nothing came.
    #[error("waited {waited_secs:.1} s for {what} in vain")]
    Timeout {
        /// How long.
        waited_secs: f32,
        /// For what.
        what: &'static str,
    },
}

impl From<tungstenite::Error> for ClientError {
    fn from(error: tungstenite::Error) -> Self {
        Self::Transport(Box::new(error))
    }
}

/// A viewer's connection.
#[derive(Debug)]
pub struct ViewerClient {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl ViewerClient {
    /// Connects to `host:port` and says hello.
    ///
    /// # Errors
    /// [`ClientError`] when the studio cannot be reached.
    pub async fn connect(address: &str, name: &str) -> Result<Self, ClientError> {
        let url = format!("ws://{address}/ws/viewer");
        // Without waiting to fill packets: what a viewer sends is small and urgent.
        let (socket, _) = tokio_tungstenite::connect_async_with_config(url, None, true).await?;
        let mut client = Self { socket };
        client
            .send(&FromViewer::Hello(ViewerHello {
                client: name.to_owned(),
            }))
            .await?;
        Ok(client)
    }

    /// Sends one message.
    ///
    /// # Errors
    /// [`ClientError`] when it contradicts itself or the connection is gone.
    pub async fn send(&mut self, message: &FromViewer) -> Result<(), ClientError> {
        let frame = Bytes::from(message.encode()?);
        self.socket
            .send(tungstenite::Message::Binary(frame))
            .await?;
        Ok(())
    }

    /// The next message.
    ///
    /// # Errors
    /// [`ClientError::Closed`] at the end, others when the connection breaks.
    pub async fn next(&mut self) -> Result<ToViewer, ClientError> {
        loop {
            match self.socket.next().await {
                None | Some(Ok(tungstenite::Message::Close(_))) => return Err(ClientError::Closed),
                Some(Err(error)) => return Err(error.into()),
                Some(Ok(tungstenite::Message::Binary(frame))) => {
                    return Ok(ToViewer::decode(&frame)?);
                }
                Some(Ok(_)) => {}
            }
        }
    }

    /// Reads until `wanted` finds what it looks for; everything else is dropped.
    ///
    /// # Errors
    /// [`ClientError::Timeout`] naming `what`, and those of [`next`](Self::next).
    pub async fn wait_for<T>(
        &mut self,
        what: &'static str,
        within: Duration,
        mut wanted: impl FnMut(ToViewer) -> Option<T>,
    ) -> Result<T, ClientError> {
        let search = async {
            loop {
                if let Some(found) = wanted(self.next().await?) {
                    return Ok(found);
                }
            }
        };
        timeout(within, search).await.unwrap_or({
            Err(ClientError::Timeout {
                waited_secs: within.as_secs_f32(),
                what,
            })
        })
    }
}
