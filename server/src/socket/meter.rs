//! A connection whose WebSocket frames are looked at while their bytes come in, before anything is kept of them.
//!
//! A WebSocket library takes one limit for the whole life of a connection and makes room for a frame when it is
//! announced. Here the limit rises with the hello, and what is over it is refused at its header. Pings and fragments
//! cost no memory, but time: they are counted. Whoever sends more than its rate is not read for a moment, so that its own
//! network holds it back; what is written to it goes on.

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

/// Most fragments of one message: 16 MiB in pieces of 4 KiB.
const MAX_FRAGMENTS: u32 = 4096;
/// Pings, pongs and closes that may come at once.
const MAX_CONTROL: f64 = 64.0;
/// And how many per second in the long run.
const CONTROL_PER_SEC: f64 = 32.0;
/// A frame's header at its longest.
const MAX_HEADER_BYTES: usize = 14;

/// The connection beneath a WebSocket.
#[derive(Debug)]
pub(super) struct Meter<I> {
    io: I,
    frames: Frames,
    /// Bytes after a header that is over the limit, until it is known whether those before raise it.
    held: BytesMut,
    bucket: Bucket,
    /// Runs while nothing is read.
    pause: Option<Pin<Box<Sleep>>>,
    is_cut: bool,
}

impl<I> Meter<I> {
    /// Messages are at most `limit` bytes long, and come at most at this rate.
    pub(super) fn new(io: I, limit: usize, rate: Rate) -> Self {
        Self {
            io,
            frames: Frames::new(limit),
            held: BytesMut::new(),
            bucket: Bucket::new(rate, Instant::now()),
            pause: None,
            is_cut: false,
        }
    }

    /// Whether more came than the rate at least once.
    pub(super) fn was_paused(&self) -> bool {
        self.pause.is_some()
    }

    /// Ready when more may be read.
    fn poll_turn(&mut self, context: &mut Context<'_>) -> Poll<()> {
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

    /// Takes longer messages from now on.
    pub(super) fn raise(&mut self, limit: usize) {
        self.frames.limit = limit;
    }

    /// Since when a message has been coming that is not complete.
    pub(super) fn unfinished_since(&self) -> Option<Instant> {
        self.frames.unfinished_since
    }

    /// Neither reads nor writes any more, whoever still holds it.
    pub(super) fn cut(&mut self) {
        self.is_cut = true;
        self.held = BytesMut::new();
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
        let from_outside = this.held.is_empty();
        if from_outside {
            ready!(this.poll_turn(context));
            ready!(Pin::new(&mut this.io).poll_read(context, into))?;
        } else {
            let count = this.held.len().min(into.remaining());
            let (now, _) = this.held.split_at(count);
            into.put_slice(now);
            this.held.advance(count);
        }
        let (_, new) = into.filled().split_at(before);
        let passed = this.frames.pass(new);
        let bytes = if from_outside { new.len() } else { 0 };
        let frames = std::mem::take(&mut this.frames.begun);
        this.bucket.take(bytes, frames, Instant::now());
        match passed {
            Ok(()) => {}
            Err(Over { at: 0, words }) => return Poll::Ready(Err(io::Error::other(words))),
            Err(Over { at, .. }) => {
                let (_, after) = new.split_at(at);
                let rest = std::mem::take(&mut this.held);
                this.held.extend_from_slice(after);
                this.held.extend_from_slice(&rest);
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

/// A frame that is refused, by the place of its header in the bytes that were passed; 0 also for one that began before
/// them.
#[derive(Debug, PartialEq, Eq)]
struct Over {
    at: usize,
    words: String,
}

/// Where in which frame the stream is.
#[derive(Debug)]
struct Frames {
    limit: usize,
    header: [u8; MAX_HEADER_BYTES],
    header_bytes: usize,
    /// Of the frame's content, still to come.
    content_left: u64,
    /// Of the message, in all its fragments so far.
    message_bytes: u64,
    fragments: u32,
    /// Frames that began since this was last looked at.
    begun: u32,
    /// The frame at hand is the last of a message.
    ends_message: bool,
    unfinished_since: Option<Instant>,
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

    /// Takes note of bytes that came in.
    fn pass(&mut self, bytes: &[u8]) -> Result<(), Over> {
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
            if let Some(place) = self.header.get_mut(self.header_bytes) {
                *place = *first;
            }
            self.header_bytes += 1;
            rest = after;
            if self.header_bytes == self.header_length() {
                let checked = self.begin();
                self.header_bytes = 0;
                if let Err(words) = checked {
                    let at = header_at.unwrap_or_default();
                    return Err(Over { at, words });
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

    /// The header is complete. On a refusal nothing has changed.
    fn begin(&mut self) -> Result<(), String> {
        let [first, second, l0, l1, l2, l3, l4, l5, l6, l7, ..] = self.header;
        let length = match second & 0x7f {
            126 => u64::from(u16::from_be_bytes([l0, l1])),
            127 => u64::from_be_bytes([l0, l1, l2, l3, l4, l5, l6, l7]),
            short => u64::from(short),
        };
        let now = Instant::now();
        if first & 0x08 != 0 {
            // The library refuses a long one.
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
                "a message of {message_bytes} bytes is too long, at most {} are taken",
                self.limit
            ));
        }
        if fragments >= MAX_FRAGMENTS {
            return Err(format!(
                "a message in more than {MAX_FRAGMENTS} fragments; send larger ones"
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
