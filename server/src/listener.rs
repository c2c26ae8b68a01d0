//! The listening socket: accepts, serves HTTP/1, and keeps room for whoever comes next.
//!
//! Headers come within a time, idle connections end, and a peer that takes nothing of its answer is let go. When all
//! places are taken, somebody who only sits there goes (`crowd`). The process keeps descriptors for files.

mod crowd;
mod link;

use crate::peer_address::PeerAddress;
use axum::{
    Router,
    body::{Body, Bytes, HttpBody},
};
use crowd::{Crowd, Place, Serving};
use http_body::{Frame, SizeHint};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use link::Link;
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

/// A request's headers come within this time, counted from the connection's start or the answer before.
const HEADERS_WITHIN: Duration = Duration::from_secs(10);
/// Most bytes of a request's headers. Every connection can have so many.
const MAX_HEADER_BYTES: usize = 64 << 10;
/// Descriptors that the process asks for.
const WANTED_DESCRIPTORS: u64 = 4096;
/// Descriptors that connections leave to files, pipes and models.
const RESERVED_DESCRIPTORS: usize = 256;
/// The accept loop waits so long after a failure, twice as long after the next, and so on to the longest.
const BACK_OFF: Duration = Duration::from_millis(10);
const LONGEST_BACK_OFF: Duration = Duration::from_millis(500);
/// A failure that repeats is told this often.
const TOLD_EVERY: Duration = Duration::from_secs(10);

/// Serves `router` on `listener` until `stop` is cancelled, and then until the answers at hand are out.
///
/// At most `max_connections` are open at once, fewer where the process cannot have as many descriptors.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    max_connections: usize,
    stop: CancellationToken,
) -> io::Result<()> {
    let crowd = Crowd::new(places(max_connections));
    let mut connections = JoinSet::new();
    let mut waits = BACK_OFF;
    let mut told: Option<Instant> = None;
    let mut tell = |words: &dyn std::fmt::Display| {
        if told.is_none_or(|at| at.elapsed() >= TOLD_EVERY) {
            told = Some(Instant::now());
            tracing::warn!("{words}");
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
            Err(error) if is_of_the_peer(&error) => continue,
            Err(error) => {
                tell(&format_args!("no connection can be accepted: {error}"));
                crowd.make_room();
                tokio::time::sleep(waits).await;
                waits = (2 * waits).min(LONGEST_BACK_OFF);
                continue;
            }
        };
        waits = BACK_OFF;
        let Some(place) = crowd.admit() else {
            tell(&"a connection is refused: as many as the studio serves are open and busy");
            continue;
        };
        // A stop is a few bytes: waiting to fill a packet would cost it 40 ms.
        if let Err(error) = socket.set_nodelay(true) {
            tracing::debug!("a connection keeps its small packets back: {error}");
        }
        let from = PeerAddress::new(from.ip());
        connections.spawn(connection(
            socket,
            from,
            place,
            router.clone(),
            stop.clone(),
        ));
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
    Ok(())
}

/// Connections that can be open at once.
fn places(max_connections: usize) -> usize {
    let descriptors = match rlimit::increase_nofile_limit(WANTED_DESCRIPTORS) {
        Ok(descriptors) => usize::try_from(descriptors).unwrap_or(usize::MAX),
        Err(error) => {
            tracing::debug!("the limit of open files is not known: {error}");
            1024
        }
    };
    let reserved = RESERVED_DESCRIPTORS.min(descriptors / 2);
    max_connections.min(descriptors - reserved)
}

fn is_of_the_peer(error: &io::Error) -> bool {
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
    from: PeerAddress,
    place: Arc<Place>,
    router: Router,
    stop: CancellationToken,
) {
    let service = service_fn({
        let place = place.clone();
        move |mut request: hyper::Request<Incoming>| {
            request.extensions_mut().insert(from);
            let serving = place.serve();
            let mut router = router.clone();
            async move {
                let answer = router.call(request).await?;
                Ok::<_, Infallible>(answer.map(|body| Answering {
                    body,
                    _serving: serving,
                }))
            }
        }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN)
        .max_buf_size(MAX_HEADER_BYTES)
        .serve_connection(TokioIo::new(Link::new(socket, place.clone())), service)
        .with_upgrades();
    let mut serving = pin!(serving);
    let mut stopping = false;
    let ended = loop {
        tokio::select! {
            ended = serving.as_mut() => break ended,
            () = place.cut().cancelled() => return,
            () = stop.cancelled(), if !stopping => {
                stopping = true;
                serving.as_mut().graceful_shutdown();
            }
        }
    };
    // Whoever is still there has become a WebSocket, and holds the place.
    place.upgraded();
    if let Err(error) = ended {
        tracing::debug!("a connection broke: {error}");
    }
}

/// An answer on its way: the connection is not idle before it is out.
struct Answering {
    body: Body,
    _serving: Serving,
}

impl HttpBody for Answering {
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
