//! A peer that sends the same bytes again and again, as fast as its connection takes them, from threads of its own: the
//! studio's threads have nothing to do with it.

use super::bench::Socket;
use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Instant,
};
use tokio_tungstenite::MaybeTlsStream;

/// Ends when dropped.
pub struct Flood {
    stream: TcpStream,
    began_at: Instant,
    written: Arc<AtomicU64>,
}

impl Flood {
    /// Takes over a connection after its hello.
    pub fn start(socket: Socket, bytes: Vec<u8>) -> Self {
        let MaybeTlsStream::Plain(stream) = socket.into_inner() else {
            unreachable!("loopback without TLS")
        };
        let stream = stream.into_std().unwrap();
        stream.set_nonblocking(false).unwrap();
        let written = Arc::<AtomicU64>::default();
        let (mut to, mut from) = (stream.try_clone().unwrap(), stream.try_clone().unwrap());
        let count = written.clone();
        thread::spawn(move || {
            while to.write_all(&bytes).is_ok() {
                count.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            }
        });
        // Whoever does not read is cut off; pings stay unanswered, which is told after ten seconds.
        thread::spawn(move || {
            let mut sink = vec![0; 1 << 16];
            while matches!(from.read(&mut sink), Ok(1..)) {}
        });
        Self {
            stream,
            began_at: Instant::now(),
            written,
        }
    }

    /// How much the studio took, in MiB/s.
    pub fn rate(&self) -> f64 {
        let mebibytes = self.written.load(Ordering::Relaxed) as f64 / f64::from(1 << 20);
        mebibytes / self.began_at.elapsed().as_secs_f64()
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.stream.shutdown(Shutdown::Both).ok();
    }
}

/// A message as a client sends it, with a mask that changes nothing.
pub fn framed(message: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x82, 0x80 | 127];
    bytes.extend((message.len() as u64).to_be_bytes());
    bytes.extend([0; 4]);
    bytes.extend_from_slice(message);
    bytes
}
