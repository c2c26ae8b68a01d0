//! A plain HTTP client: requests as bytes, and their responses.

use super::support::*;
use std::collections::BTreeMap;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

pub struct HttpAnswer {
    pub status: u16,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl HttpAnswer {
    pub fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        let end = end.unwrap_or_else(|| panic!("no end of the headers in {bytes:?}"));
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap();
        let headers: BTreeMap<String, String> = lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let raw = &bytes[end + 4..];
        let body = match headers.get("transfer-encoding") {
            Some(_) => unchunked(raw),
            None => raw.to_vec(),
        };
        Self {
            status: status.parse().unwrap(),
            headers,
            body,
        }
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// Decodes a chunked body, as far as it was received.
fn unchunked(mut raw: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = raw.windows(2).position(|two| two == b"\r\n") {
        let size = std::str::from_utf8(&raw[..end]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        raw = &raw[end + 2..];
        if size == 0 {
            break;
        }
        body.extend_from_slice(&raw[..size.min(raw.len())]);
        raw = raw.get(size + 2..).unwrap_or_default();
    }
    body
}

pub fn head(method: &str, path: &str, headers: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n{headers}\r\n")
}

impl TestStudio {
    pub async fn request(&self, method: &str, path: &str, headers: &str) -> HttpAnswer {
        self.send(head(method, path, headers).as_bytes()).await
    }

    pub async fn post(&self, path: &str, body: &[u8]) -> HttpAnswer {
        let length = format!("Content-Length: {}\r\n", body.len());
        let mut request = head("POST", path, &length).into_bytes();
        request.extend_from_slice(body);
        self.send(&request).await
    }

    /// Sends bytes and reads until the studio closes.
    pub async fn send(&self, request: &[u8]) -> HttpAnswer {
        let mut socket = TcpStream::connect(&self.address).await.unwrap();
        let mut answer = Vec::new();
        let exchange = async {
            // The studio may respond before it has received everything.
            socket.write_all(request).await.ok();
            socket.read_to_end(&mut answer).await.unwrap();
        };
        timeout(6 * SOON, exchange)
            .await
            .expect("an answer in time");
        HttpAnswer::parse(&answer)
    }
}
