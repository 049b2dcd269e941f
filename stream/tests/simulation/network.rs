//! Pipes in memory that carry bytes as a poor network does: a few at a time, late, and not for ever.

use std::io;
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf, duplex, split};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::sleep;

/// Connections that a node has not looked at yet.
const WAITING: usize = 64;

/// How a connection carries bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// At most so many at a time; about three times as many fit into it unread.
    pub(crate) bytes: usize,
    /// How long each piece is on its way.
    pub(crate) delay: Duration,
}

/// Where the connections of a node arrive.
pub(crate) struct Inbox(mpsc::Receiver<DuplexStream>);

impl Listener for Inbox {
    type Io = DuplexStream;
    type Addr = &'static str;

    async fn accept(&mut self) -> (DuplexStream, &'static str) {
        match self.0.recv().await {
            Some(io) => (io, "a viewer"),
            // Nobody is left who could come.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<&'static str> {
        Ok("a node")
    }
}

/// The way to a node, and all connections that were made by it.
pub(crate) struct Gate {
    inbox: mpsc::Sender<DuplexStream>,
    wires: Vec<AbortHandle>,
}

impl Gate {
    pub(crate) fn new() -> (Self, Inbox) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (Self { inbox: sender, wires: Vec::new() }, Inbox(receiver))
    }

    /// This end of a new connection; none if nobody listens at the other.
    pub(crate) fn dial(&mut self, pace: Pace) -> Option<DuplexStream> {
        let (here, near) = duplex(pace.bytes);
        let (far, there) = duplex(pace.bytes);
        self.inbox.try_send(there).ok()?;
        self.wires.push(tokio::spawn(carry_both(near, far, pace)).abort_handle());
        Some(here)
    }
}

/// Both ends of every connection find it broken.
impl Drop for Gate {
    fn drop(&mut self) {
        for wire in &self.wires {
            wire.abort();
        }
    }
}

/// Carries bytes until both ends have ended in order, or one is gone.
async fn carry_both(near: DuplexStream, far: DuplexStream, pace: Pace) {
    let (near_out, near_in) = split(near);
    let (far_out, far_in) = split(far);
    tokio::try_join!(carry(near_out, far_in, pace), carry(far_out, near_in, pace)).ok();
}

async fn carry(
    mut from: ReadHalf<DuplexStream>,
    mut to: WriteHalf<DuplexStream>,
    pace: Pace,
) -> io::Result<()> {
    let mut piece = vec![0; pace.bytes];
    let mut turn = 0_u64;
    loop {
        turn = turn.wrapping_add(1);
        let length = length(turn, pace.bytes);
        let read = from.read(&mut piece[..length]).await?;
        if read == 0 {
            return to.shutdown().await;
        }
        if !pace.delay.is_zero() {
            sleep(pace.delay).await;
        }
        to.write_all(&piece[..read]).await?;
    }
}

/// How long a piece may be: of every length up to `most` in turn, so that messages break anywhere. The
/// multiples of the golden ratio, without their whole parts, are spread evenly; whatever `most` is, so are
/// its multiples by them.
fn length(turn: u64, most: usize) -> usize {
    let spread = turn.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    1 + ((spread as usize * most) >> 32)
}

#[cfg(test)]
#[test]
fn pieces_have_every_length_that_they_may_have() {
    for most in 1..2_000 {
        let lengths = (0..64).map(|turn| length(turn, most));
        let (mut sum, mut longest) = (0, 0);
        for length in lengths {
            assert!((1..=most).contains(&length));
            sum += length;
            longest = longest.max(length);
        }
        assert!(sum >= 64 * most / 3 && longest >= most * 3 / 4, "{most}: {sum}, {longest}");
    }
}
