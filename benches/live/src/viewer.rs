//! A client: one connection and what it holds. It keeps no buffer; what comes is read into one that
//! its thread has.

use std::cell::RefCell;
use std::future::poll_fn;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};

use crate::Failure;
use crate::bench::{Bench, VIEWS};
use crate::framing::{Frame, Unread, event, frame, masked};
use crate::held::{Digest, Held, Message};
use crate::http::{escaped, status};
use crate::sender::MARK;

/// What a thread reads at once.
const ROOM: usize = 64 << 10;
/// Addresses of this machine from which connections come in turn: one has 28,000 ports, and those of
/// connections that have just ended are not free at once.
const SOURCES: usize = 16;
/// Before a connection is tried again: this, and up to as much again.
const BACKOFF: Duration = Duration::from_millis(100);

thread_local! {
    static READ: RefCell<Vec<u8>> = RefCell::new(vec![0; ROOM]);
}

pub(crate) struct Viewer {
    bench: Arc<Bench>,
    number: usize,
    is_socket: bool,
    subs: Vec<Held>,
    /// The last id of an event stream, and what was held there: what came after it does not count.
    last_id: Option<Box<str>>,
    committed: Vec<Digest>,
    unread: Unread,
    /// Whether the storm is over for it.
    is_back: bool,
    /// Whether it was counted among those that hold everything.
    is_counted: bool,
}

impl Viewer {
    pub(crate) fn new(bench: Arc<Bench>, number: usize) -> Self {
        Self {
            is_socket: bench.is_socket(number),
            subs: vec![Held::default(); bench.subscriptions],
            bench,
            number,
            last_id: None,
            committed: Vec::new(),
            unread: Unread::default(),
            is_back: false,
            is_counted: false,
        }
    }

    /// Follows for ever.
    pub(crate) async fn run(mut self) {
        loop {
            match self.connect().await {
                Ok(stream) => {
                    if let Err(failure) = self.follow(stream).await {
                        self.bench.told.ended.fetch_add(1, Ordering::Relaxed);
                        self.bench.told.reason.get_or_init(|| failure.to_string());
                    }
                    self.cut_off();
                }
                Err(failure) => {
                    self.cut_off();
                    self.bench.told.refused.fetch_add(1, Ordering::Relaxed);
                    self.bench.told.reason.get_or_init(|| failure.to_string());
                    let share = (self.number * 37 % 100) as u32;
                    tokio::time::sleep(BACKOFF + BACKOFF * share / 100).await;
                }
            }
        }
    }

    /// A connection over which everything has been asked for.
    async fn connect(&mut self) -> Result<TcpStream, Failure> {
        let bench = Arc::clone(&self.bench);
        let _making = bench.making.acquire().await?;
        let socket = TcpSocket::new_v4()?;
        let source = Ipv4Addr::new(127, 0, 0, 2 + (self.number % SOURCES) as u8);
        socket.bind(SocketAddr::from((source, 0)))?;
        let mut stream = socket.connect(bench.address).await?;
        stream.set_nodelay(true)?;
        stream.write_all(self.request().as_bytes()).await?;
        self.greet(&mut stream).await?;
        if self.is_socket {
            for place in 0..self.subs.len() {
                let position = self.subs[place].position.as_deref();
                let wanted = self.subscription(place, position);
                let message = format!("{{\"type\":\"subscribe\",{}", &wanted[1..]);
                stream.write_all(&masked(&message)).await?;
            }
        }
        Ok(stream)
    }

    fn request(&self) -> String {
        let token = &self.bench.tenant(self.number).token;
        let bearer = format!("Host: bench\r\nAuthorization: Bearer {token}\r\n");
        if self.is_socket {
            // The key that stands in the standard: it protects from answers that nobody gave.
            return format!(
                "GET /v1/ws HTTP/1.1\r\n{bearer}Connection: Upgrade\r\nUpgrade: websocket\r\n\
                 Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            );
        }
        let subs: Vec<String> = (0..self.subs.len())
            .map(|place| format!("sub={}", escaped(&self.subscription(place, None))))
            .collect();
        let last = self.last_id.as_ref();
        let last = last.map_or(String::new(), |id| format!("Last-Event-ID: {id}\r\n"));
        // By HTTP/1.0, so that the body is not cut into chunks.
        format!("GET /v1/stream?{} HTTP/1.0\r\n{bearer}{last}\r\n", subs.join("&"))
    }

    fn subscription(&self, place: usize, resume: Option<&str>) -> String {
        let view = VIEWS[place % VIEWS.len()];
        let resume = resume.map_or(String::new(), |at| format!(",\"resume\":\"{at}\""));
        let rate = match self.bench.max_rate_ms {
            0 => String::new(),
            ms => format!(",\"max_rate_ms\":{ms}"),
        };
        format!("{{\"id\":\"{place}\",\"view\":\"{view}\"{resume}{rate}}}")
    }

    /// Reads the head of the answer, and takes what came behind it.
    async fn greet(&mut self, stream: &mut TcpStream) -> Result<(), Failure> {
        let mut head: Vec<u8> = Vec::new();
        loop {
            if let Some(end) = head.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                let rest = head.split_off(end + 4);
                let wanted = if self.is_socket { 101 } else { 200 };
                if status(&head) != Some(wanted) {
                    let answer = [head, rest].concat();
                    return Err(String::from_utf8_lossy(&answer).into());
                }
                return self.receive(&rest);
            }
            if stream.read_buf(&mut head).await? == 0 {
                return Err("the service closed a connection without an answer".into());
            }
        }
    }

    /// Follows until the storm, or until the service ends it.
    async fn follow(&mut self, mut stream: TcpStream) -> Result<(), Failure> {
        let mut storm = self.bench.storm.subscribe();
        let is_back = self.is_back;
        let storm = async move {
            if is_back {
                std::future::pending::<()>().await;
            }
            drop(storm.wait_for(|begun| *begun).await);
        };
        let mut storm = pin!(storm);
        loop {
            tokio::select! {
                biased;
                () = &mut storm => {
                    // All of them go within a second.
                    let share = self.number as f64 / self.bench.connections as f64;
                    tokio::time::sleep(Duration::from_secs_f64(share)).await;
                    self.is_back = true;
                    self.is_counted = false;
                    return Ok(());
                }
                heard = self.hear(&mut stream) => heard?,
            }
        }
    }

    /// Reads what there is and takes it.
    async fn hear(&mut self, stream: &mut TcpStream) -> Result<(), Failure> {
        poll_fn(|cx| {
            READ.with_borrow_mut(|room| -> Poll<Result<(), Failure>> {
                let mut read = ReadBuf::new(room);
                if let Err(error) = ready!(Pin::new(&mut *stream).poll_read(cx, &mut read)) {
                    return Poll::Ready(Err(error.into()));
                }
                if read.filled().is_empty() {
                    return Poll::Ready(Err("the service ended a connection".into()));
                }
                Poll::Ready(self.receive(read.filled()))
            })
        })
        .await
    }

    fn receive(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let mut unread = std::mem::take(&mut self.unread);
        let taken = unread.feed(bytes, |bytes| self.take(bytes));
        self.unread = unread;
        taken?;
        self.bench.hold(self.number, &self.subs);
        if !self.is_counted && self.subs.iter().all(|held| held.is_held) {
            self.is_counted = true;
            let counted = &self.bench.whole[usize::from(self.is_back)];
            counted.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Takes the first message, if it is whole; how long it was.
    fn take(&mut self, bytes: &[u8]) -> Result<usize, Failure> {
        if self.is_socket {
            let Some((frame, length)) = frame(bytes) else { return Ok(0) };
            match frame {
                Frame::Text(text) => self.message(text)?,
                Frame::Close(code) => return Err(format!("closed with {code:?}").into()),
                Frame::Other(kind) => return Err(format!("a frame of kind {kind:#x}").into()),
            }
            return Ok(length);
        }
        let Some((event, length)) = event(bytes) else { return Ok(0) };
        if let Some(data) = event.data {
            self.message(data)?;
        }
        if let Some(id) = event.id {
            let id = std::str::from_utf8(id)?;
            self.last_id = Some(id).filter(|id| !id.is_empty()).map(Box::from);
            self.committed = self.subs.iter().map(|held| held.digest).collect();
        }
        Ok(length)
    }

    fn message(&mut self, text: &[u8]) -> Result<(), Failure> {
        let message = Message::parse(text);
        let told = &self.bench.told;
        let counter = match message.kind {
            b"heartbeat" => return Ok(()),
            b"delta" => &told.deltas,
            b"snapshot" => &told.snapshots,
            b"resumed" => &told.resumed,
            b"reset" => &told.resets,
            _ => return Err(String::from_utf8_lossy(text).into()),
        };
        counter.fetch_add(1, Ordering::Relaxed);
        let held = message.id.and_then(|id| self.subs.get_mut(id)).ok_or("a message of nobody")?;
        let moments = &self.bench.moments;
        let has_place = held.take(&message, |first| {
            if let Some(number) = marked(first) {
                moments.came(number);
            }
        });
        if has_place { Ok(()) } else { Err("a delta for one that holds nothing".into()) }
    }

    /// The connection is gone: an event stream goes back to its last id.
    fn cut_off(&mut self) {
        self.unread = Unread::default();
        self.subs.iter_mut().for_each(Held::cut_off);
        if self.is_socket {
            return;
        }
        if self.last_id.is_none() {
            self.subs.fill(Held::default());
            return;
        }
        for (held, digest) in self.subs.iter_mut().zip(&self.committed) {
            // As with a WebSocket, whether it goes on from there is said by `resumed`.
            *held = Held::before(*digest);
        }
    }
}

/// The number of the event by which a row came, from the first value of the row.
fn marked(first: &[u8]) -> Option<usize> {
    let digits = first.strip_prefix(MARK)?.strip_suffix(b"\"")?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}
