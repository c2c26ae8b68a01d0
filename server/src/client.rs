//! A viewer's client for `bench`, tests and scripts.

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use protocol::{FrameError, FromViewer, ToViewer, viewer::ViewerHello};
use std::time::Duration;
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, tungstenite};

/// Errors of a viewer's connection.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The transport failed.
    #[error("the connection to the studio failed: {0}")]
    Transport(#[from] Box<tungstenite::Error>),
    /// A frame cannot be decoded, or a message cannot be encoded.
    #[error("the studio sent a broken frame: {0}")]
    Frame(#[from] FrameError),
    /// The studio closed the connection.
    #[error("the studio closed the connection")]
    Closed,
    /// The expected message did not arrive in time.
    #[error("{what} did not arrive within {waited_secs:.1} s")]
    Timeout {
        /// Time limit, in seconds.
        waited_secs: f32,
        /// The expected message.
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
    /// Connects to `host:port` and sends the hello.
    ///
    /// # Errors
    /// [`ClientError`] if the studio cannot be reached.
    pub async fn connect(address: &str, name: &str) -> Result<Self, ClientError> {
        let url = format!("ws://{address}/ws/viewer");
        // TCP_NODELAY: a viewer's messages are small and urgent.
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
    /// [`ClientError`] if the message is invalid or the connection is lost.
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
    /// [`ClientError::Closed`] once the studio closed the connection; others if it fails.
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

    /// Reads until `select` returns a value for a message; other messages are dropped.
    ///
    /// # Errors
    /// [`ClientError::Timeout`] naming `what`, and those of [`next`](Self::next).
    pub async fn wait_for<T>(
        &mut self,
        what: &'static str,
        within: Duration,
        mut select: impl FnMut(ToViewer) -> Option<T>,
    ) -> Result<T, ClientError> {
        let search = async {
            loop {
                if let Some(found) = select(self.next().await?) {
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
