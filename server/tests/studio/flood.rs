//! A peer that sends the same bytes repeatedly, as fast as its connection takes them. It runs on separate threads, so that it
//! takes no time from the studio's.

use super::support::Socket;
use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Instant,
};
use tokio_tungstenite::MaybeTlsStream;

/// A running flood, which ends when dropped.
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
        let pong = Arc::<Mutex<Option<Vec<u8>>>>::default();
        let answer = pong.clone();
        thread::spawn(move || {
            while to.write_all(&bytes).is_ok() {
                count.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                let pong = answer.lock().unwrap().take();
                if pong.is_some_and(|pong| to.write_all(&pong).is_err()) {
                    return;
                }
            }
        });
        // A robot that does not read gets no chunks and is disconnected.
        thread::spawn(move || {
            while let Ok((first, content)) = read_frame(&mut from) {
                if first & 0x0f == 0x09 {
                    let mut frame = vec![0x8a, 0x80 | u8::try_from(content.len()).unwrap()];
                    frame.extend([0; 4]);
                    frame.extend(content);
                    *pong.lock().unwrap() = Some(frame);
                }
            }
        });
        Self {
            stream,
            began_at: Instant::now(),
            written,
        }
    }

    /// Rate at which the studio read, in MiB/s.
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

/// The first byte and the payload of the studio's next frame.
fn read_frame(from: &mut TcpStream) -> std::io::Result<(u8, Vec<u8>)> {
    let mut header = [0; 2];
    from.read_exact(&mut header)?;
    let length = match header[1] & 0x7f {
        126 => {
            let mut length = [0; 2];
            from.read_exact(&mut length)?;
            u64::from(u16::from_be_bytes(length))
        }
        127 => {
            let mut length = [0; 8];
            from.read_exact(&mut length)?;
            u64::from_be_bytes(length)
        }
        short => u64::from(short),
    };
    let mut content = Vec::new();
    from.take(length).read_to_end(&mut content)?;
    Ok((header[0], content))
}

/// A message as a client frames it, with a mask of zeros.
pub fn framed(message: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x82, 0x80 | 127];
    bytes.extend((message.len() as u64).to_be_bytes());
    bytes.extend([0; 4]);
    bytes.extend_from_slice(message);
    bytes
}
