//! Calls to the service, as plainly as can be.

use std::net::SocketAddr;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::Failure;

/// A connection that is kept, for calls whose answers have a length.
pub(crate) struct Calls {
    stream: BufReader<TcpStream>,
}

impl Calls {
    pub(crate) async fn connect(address: SocketAddr) -> Result<Self, Failure> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Posts one event; the answer if it was taken.
    pub(crate) async fn post(&mut self, token: &str, event: &str) -> Result<String, Failure> {
        let request = format!(
            "POST /v1/events HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/cloudevents+json\r\nContent-Length: {}\r\n\r\n{event}",
            event.len()
        );
        self.stream.get_mut().write_all(request.as_bytes()).await?;
        let (mut status, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line).await? == 0 {
                return Err("the service closed a connection".into());
            }
            let line = line.trim_end();
            if status.is_empty() {
                line.clone_into(&mut status);
            } else if line.is_empty() {
                break;
            } else if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse()?;
            }
        }
        let mut answer = vec![0; length];
        self.stream.read_exact(&mut answer).await?;
        let answer = String::from_utf8(answer)?;
        if status.contains(" 202 ") && answer.contains("\"accepted\":1") {
            Ok(answer)
        } else {
            Err(format!("an event was not taken: {status} {answer}").into())
        }
    }
}

/// Status and body of a GET. By HTTP/1.0, so that the body ends with the connection.
pub(crate) async fn get(
    address: SocketAddr,
    path: &str,
    token: Option<&str>,
) -> Result<(u16, Vec<u8>), Failure> {
    let mut stream = TcpStream::connect(address).await?;
    let bearer = token.map_or(String::new(), |token| format!("Authorization: Bearer {token}\r\n"));
    let request = format!("GET {path} HTTP/1.0\r\nHost: bench\r\n{bearer}\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").ok_or("no whole answer")?;
    let body = answer.split_off(end + 4);
    Ok((status(&answer).ok_or("an answer without a status")?, body))
}

/// A text as a value in an address.
pub(crate) fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

/// The status in the head of an answer.
pub(crate) fn status(head: &[u8]) -> Option<u16> {
    let code = head.split(|byte| *byte == b' ').nth(1)?;
    std::str::from_utf8(code).ok()?.parse().ok()
}
