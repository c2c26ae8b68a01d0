//! Listening socket: accepts connections, serves HTTP/1, and keeps capacity for new connections.
//!
//! Request headers have a deadline, idle connections end, and so does one whose peer does not read its answer. At the limit
//! of open connections an idle one is closed for a new one (`connection_limit`). Some file descriptors stay reserved for
//! files.

mod connection_limit;
mod write_timeout;

use crate::peer_address::PeerAddress;
use axum::{
    Router,
    body::{Body, Bytes, HttpBody},
};
use connection_limit::{ActiveRequest, ConnectionLimit, ConnectionPermit};
use http_body::{Frame, SizeHint};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{
    convert::Infallible,
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use tower_service::Service as _;
use write_timeout::WriteTimeout;

/// Time limit for the headers of a request, from the start of the connection or the end of the previous answer.
const HEADERS_WITHIN: Duration = Duration::from_secs(10);
/// Largest headers of a request, in bytes, and the largest memory that a connection takes for them.
const MAX_HEADER_BYTES: usize = 64 << 10;
/// Soft limit of file descriptors that the process requests.
const WANTED_DESCRIPTORS: u64 = 4096;
/// File descriptors that stay reserved for files, pipes and models.
const RESERVED_DESCRIPTORS: usize = 256;
/// Pause of the accept loop after a failure; it doubles with every further failure.
const MIN_BACKOFF: Duration = Duration::from_millis(10);
/// Longest pause of the accept loop.
const MAX_BACKOFF: Duration = Duration::from_millis(500);
/// Minimum interval between warnings of the accept loop.
const WARNING_INTERVAL: Duration = Duration::from_secs(10);

/// Serves `router` on `listener` until `stop` is cancelled, and then until the current answers are complete.
///
/// At most `max_connections` are open at once, fewer if the process has fewer file descriptors.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    max_connections: usize,
    stop: CancellationToken,
) -> io::Result<()> {
    let limit = ConnectionLimit::new(capacity(max_connections));
    let mut connections = JoinSet::new();
    let mut backoff = MIN_BACKOFF;
    let mut warned_at: Option<Instant> = None;
    let mut warn = |message: &dyn std::fmt::Display| {
        if warned_at.is_none_or(|at| at.elapsed() >= WARNING_INTERVAL) {
            warned_at = Some(Instant::now());
            tracing::warn!("{message}");
        }
    };
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        let (socket, from) = match accepted {
            Ok(accepted) => accepted,
            Err(error) if is_caused_by_peer(&error) => continue,
            Err(error) => {
                warn(&format_args!("no connection can be accepted: {error}"));
                limit.evict_one();
                tokio::time::sleep(backoff).await;
                backoff = (2 * backoff).min(MAX_BACKOFF);
                continue;
            }
        };
        backoff = MIN_BACKOFF;
        let Some(permit) = limit.admit() else {
            warn(&"a connection is refused: all connections of the studio are open and in use");
            continue;
        };
        // A stop is a few bytes: Nagle's algorithm would delay it by 40 ms.
        if let Err(error) = socket.set_nodelay(true) {
            tracing::debug!("cannot set TCP_NODELAY: {error}");
        }
        let address = PeerAddress::new(from.ip());
        connections.spawn(connection(
            socket,
            address,
            permit,
            router.clone(),
            stop.clone(),
        ));
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
    Ok(())
}

/// Number of connections that can be open at once.
fn capacity(max_connections: usize) -> usize {
    let descriptors = match rlimit::increase_nofile_limit(WANTED_DESCRIPTORS) {
        Ok(descriptors) => usize::try_from(descriptors).unwrap_or(usize::MAX),
        Err(error) => {
            tracing::debug!("the limit of open files is unknown: {error}");
            1024
        }
    };
    let reserved = RESERVED_DESCRIPTORS.min(descriptors / 2);
    max_connections.min(descriptors - reserved)
}

/// True if a failure to accept concerns one peer only.
fn is_caused_by_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}

async fn connection(
    socket: TcpStream,
    address: PeerAddress,
    permit: Arc<ConnectionPermit>,
    router: Router,
    stop: CancellationToken,
) {
    let service = service_fn({
        let permit = permit.clone();
        move |mut request: hyper::Request<Incoming>| {
            request.extensions_mut().insert(address);
            let active = permit.begin_request();
            let mut router = router.clone();
            async move {
                let response = router.call(request).await?;
                Ok::<_, Infallible>(response.map(|body| ResponseBody {
                    body,
                    _active: active,
                }))
            }
        }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN)
        .max_buf_size(MAX_HEADER_BYTES)
        .serve_connection(
            TokioIo::new(WriteTimeout::new(socket, permit.clone())),
            service,
        )
        .with_upgrades();
    let mut serving = pin!(serving);
    let mut stopping = false;
    let ended = loop {
        tokio::select! {
            ended = serving.as_mut() => break ended,
            () = permit.evicted().cancelled() => return,
            () = stop.cancelled(), if !stopping => {
                stopping = true;
                serving.as_mut().graceful_shutdown();
            }
        }
    };
    // A connection that is still open has become a WebSocket, which holds the permit through its stream.
    permit.set_upgraded();
    if let Err(error) = ended {
        tracing::debug!("a connection failed: {error}");
    }
}

/// Body of a response. The connection counts as active until it is dropped.
struct ResponseBody {
    body: Body,
    _active: ActiveRequest,
}

impl HttpBody for ResponseBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
