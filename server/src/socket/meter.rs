//! Connection that checks WebSocket frames while their bytes arrive, before the WebSocket library stores them.
//!
//! A WebSocket library has one size limit for the whole life of a connection, and it allocates a frame when it is announced.
//! Here the limit rises with the hello, and a frame over the limit is refused at its header. Pings and fragments cost time
//! rather than memory: their number is limited. A peer that exceeds its rate is not read for a moment, so that flow control
//! slows it down; writes to it go on.

use super::bucket::{Bucket, Rate};
use bytes::{Buf as _, BytesMut};
use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Duration, Instant, Sleep, sleep_until},
};

/// Maximum number of fragments of one message: 16 MiB in pieces of 4 KiB.
const MAX_FRAGMENTS: u32 = 4096;
/// Burst of control frames: pings, pongs and closes.
const MAX_CONTROL: f64 = 64.0;
/// Sustained rate of control frames.
const CONTROL_PER_SEC: f64 = 32.0;
/// Length of the longest frame header.
const MAX_HEADER_BYTES: usize = 14;

/// Transport of a WebSocket, with limits on what is read.
#[derive(Debug)]
pub(super) struct Meter<I> {
    io: I,
    frames: Frames,
    /// Bytes from a header over the limit on. They are kept until the bytes before them have been handled, which may
    /// raise the limit.
    deferred: BytesMut,
    bucket: Bucket,
    /// Timer of the last pause in reading; absent until the first one.
    pause: Option<Pin<Box<Sleep>>>,
    is_cut: bool,
}

impl<I> Meter<I> {
    /// Limits messages to `limit` bytes and reading to `rate`.
    pub(super) fn new(io: I, limit: usize, rate: Rate) -> Self {
        Self {
            io,
            frames: Frames::new(limit),
            deferred: BytesMut::new(),
            bucket: Bucket::new(rate, Instant::now()),
            pause: None,
            is_cut: false,
        }
    }

    /// True if the peer has exceeded its rate at least once.
    pub(super) fn was_paused(&self) -> bool {
        self.pause.is_some()
    }

    /// Waits until the rate allows the next read.
    fn poll_rate(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(until) = self.bucket.pause(Instant::now()) else {
            return Poll::Ready(());
        };
        let pause = self
            .pause
            .get_or_insert_with(|| Box::pin(sleep_until(until)));
        if pause.deadline() != until {
            pause.as_mut().reset(until);
        }
        pause.as_mut().poll(context)
    }

    /// Raises the size limit of messages.
    pub(super) fn raise(&mut self, limit: usize) {
        self.frames.limit = limit;
    }

    /// Time of the first header of the current message; `None` if no message is incomplete.
    pub(super) fn unfinished_since(&self) -> Option<Instant> {
        self.frames.unfinished_since
    }

    /// Makes all further reads and writes fail, also those of the other half.
    pub(super) fn cut(&mut self) {
        self.is_cut = true;
        self.deferred = BytesMut::new();
    }

    fn check(&self) -> io::Result<()> {
        if self.is_cut {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Ok(())
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Meter<I> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.check()?;
        let before = into.filled().len();
        let is_from_io = this.deferred.is_empty();
        if is_from_io {
            ready!(this.poll_rate(context));
            ready!(Pin::new(&mut this.io).poll_read(context, into))?;
        } else {
            let count = this.deferred.len().min(into.remaining());
            let (now, _) = this.deferred.split_at(count);
            into.put_slice(now);
            this.deferred.advance(count);
        }
        let (_, new) = into.filled().split_at(before);
        let scanned = this.frames.scan(new);
        let bytes = if is_from_io { new.len() } else { 0 };
        let frames = std::mem::take(&mut this.frames.begun);
        this.bucket.take(bytes, frames, Instant::now());
        match scanned {
            Ok(()) => {}
            Err(RefusedFrame { at: 0, reason }) => {
                return Poll::Ready(Err(io::Error::other(reason)));
            }
            Err(RefusedFrame { at, .. }) => {
                let (_, after) = new.split_at(at);
                let rest = std::mem::take(&mut this.deferred);
                this.deferred.extend_from_slice(after);
                this.deferred.extend_from_slice(&rest);
                into.set_filled(before + at);
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Meter<I> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.check()?;
        Pin::new(&mut this.io).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.check()?;
        Pin::new(&mut this.io).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(context)
    }
}

/// A refused frame.
#[derive(Debug, PartialEq, Eq)]
struct RefusedFrame {
    /// Offset of its header in the scanned bytes; 0 also for a header that began before them.
    at: usize,
    /// The reason.
    reason: String,
}

/// State of the scan of a stream of frames.
#[derive(Debug)]
struct Frames {
    limit: usize,
    header: [u8; MAX_HEADER_BYTES],
    /// Bytes of the current header that have arrived.
    header_bytes: usize,
    /// Bytes of the current frame's content that are still to come.
    content_left: u64,
    /// Length of the current message in all its fragments so far.
    message_bytes: u64,
    fragments: u32,
    /// Frames that began since the count was last taken.
    begun: u32,
    /// The current frame is the last of its message.
    ends_message: bool,
    unfinished_since: Option<Instant>,
    /// Control frames that are left of the quota, at `control_at`.
    control: f64,
    control_at: Instant,
}

impl Frames {
    fn new(limit: usize) -> Self {
        Self {
            limit,
            header: [0; MAX_HEADER_BYTES],
            header_bytes: 0,
            content_left: 0,
            message_bytes: 0,
            fragments: 0,
            begun: 0,
            ends_message: false,
            unfinished_since: None,
            control: MAX_CONTROL,
            control_at: Instant::now(),
        }
    }

    /// Scans bytes that have arrived, up to the first frame that is refused.
    fn scan(&mut self, bytes: &[u8]) -> Result<(), RefusedFrame> {
        let mut rest = bytes;
        let mut header_at = None;
        while let Some((first, after)) = rest.split_first() {
            if self.content_left > 0 {
                let count = usize::try_from(self.content_left)
                    .unwrap_or(usize::MAX)
                    .min(rest.len());
                self.content_left -= count as u64;
                (_, rest) = rest.split_at(count);
                self.end_of_content();
                continue;
            }
            if self.header_bytes == 0 {
                header_at = Some(bytes.len() - rest.len());
            }
            if let Some(byte) = self.header.get_mut(self.header_bytes) {
                *byte = *first;
            }
            self.header_bytes += 1;
            rest = after;
            if self.header_bytes == self.header_length() {
                let checked = self.begin();
                self.header_bytes = 0;
                if let Err(reason) = checked {
                    let at = header_at.unwrap_or_default();
                    return Err(RefusedFrame { at, reason });
                }
                self.begun = self.begun.saturating_add(1);
                self.end_of_content();
            }
        }
        Ok(())
    }

    fn header_length(&self) -> usize {
        let [_, second, ..] = self.header;
        if self.header_bytes < 2 {
            return 2;
        }
        let length = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        2 + length + if second & 0x80 == 0 { 0 } else { 4 }
    }

    /// Begins the frame whose header is complete. A refusal changes nothing.
    fn begin(&mut self) -> Result<(), String> {
        let [first, second, l0, l1, l2, l3, l4, l5, l6, l7, ..] = self.header;
        let length = match second & 0x7f {
            126 => u64::from(u16::from_be_bytes([l0, l1])),
            127 => u64::from_be_bytes([l0, l1, l2, l3, l4, l5, l6, l7]),
            short => u64::from(short),
        };
        let now = Instant::now();
        if first & 0x08 != 0 {
            // The library refuses a long control frame.
            self.take_control(now)?;
            self.content_left = length;
            return Ok(());
        }
        let continues = first & 0x0f == 0;
        let (before, fragments) = if continues {
            (self.message_bytes, self.fragments)
        } else {
            (0, 0)
        };
        let message_bytes = before.saturating_add(length);
        if message_bytes > self.limit as u64 {
            return Err(format!(
                "a message of {message_bytes} bytes is too long, at most {} are accepted",
                self.limit
            ));
        }
        if fragments >= MAX_FRAGMENTS {
            return Err(format!(
                "a message has more than {MAX_FRAGMENTS} fragments; send larger fragments"
            ));
        }
        self.message_bytes = message_bytes;
        self.fragments = fragments + 1;
        self.content_left = length;
        self.ends_message = first & 0x80 != 0;
        self.unfinished_since.get_or_insert(now);
        Ok(())
    }

    fn end_of_content(&mut self) {
        let [first, ..] = self.header;
        if self.content_left == 0 && first & 0x08 == 0 && self.ends_message {
            self.unfinished_since = None;
        }
    }

    fn take_control(&mut self, now: Instant) -> Result<(), String> {
        let passed = now.saturating_duration_since(self.control_at);
        let more = passed.min(Duration::from_secs(60)).as_secs_f64() * CONTROL_PER_SEC;
        self.control = (self.control + more).min(MAX_CONTROL);
        self.control_at = now;
        if self.control < 1.0 {
            return Err(format!(
                "more than {CONTROL_PER_SEC} pings and pongs per second"
            ));
        }
        self.control -= 1.0;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
