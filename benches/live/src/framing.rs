//! Messages out of a stream of bytes: frames of a WebSocket and events of an event stream.
//!
//! By hand rather than by a client's library: that keeps buffers for each connection, several KiB of
//! them, and fifty thousand clients are to leave the machine to the service. Here a connection
//! keeps what has come of a message that is not whole yet, which is nothing most of the time.

/// What has come of a message that is not whole yet.
#[derive(Default)]
pub(crate) struct Unread(Vec<u8>);

impl Unread {
    /// Hands what has come to `take` as long as it takes something: it answers how many bytes
    /// it took from the beginning, none if there is no whole message.
    pub(crate) fn feed<E>(
        &mut self,
        bytes: &[u8],
        mut take: impl FnMut(&[u8]) -> Result<usize, E>,
    ) -> Result<(), E> {
        let mut joined = std::mem::take(&mut self.0);
        let mut left = if joined.is_empty() {
            bytes
        } else {
            joined.extend_from_slice(bytes);
            joined.as_slice()
        };
        loop {
            let taken = take(left)?;
            if taken == 0 {
                break;
            }
            left = &left[taken..];
        }
        self.0 = left.to_vec();
        Ok(())
    }
}

/// A whole frame from the server.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame<'a> {
    Text(&'a [u8]),
    /// With its code, if it has one.
    Close(Option<u16>),
    /// Of another kind, which this service does not send.
    Other(u8),
}

/// The first frame and its length, if it is whole. The server sends each message in one frame and
/// masks none.
pub(crate) fn frame(bytes: &[u8]) -> Option<(Frame<'_>, usize)> {
    let (&kind, &size) = (bytes.first()?, bytes.get(1)?);
    let (length, begin) = match size {
        126 => (u64::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)), 4),
        127 => (u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?), 10),
        small => (u64::from(small), 2),
    };
    let end = begin + usize::try_from(length).ok()?;
    let payload = bytes.get(begin..end)?;
    let frame = match kind {
        0x81 => Frame::Text(payload),
        0x88 => Frame::Close(payload.get(..2).map(|code| u16::from_be_bytes([code[0], code[1]]))),
        other => Frame::Other(other),
    };
    Some((frame, end))
}

/// A text of less than 64 KiB as a frame of a client. Its mask is all zeros, which leaves it as it is.
pub(crate) fn masked(text: &str) -> Vec<u8> {
    let mut frame = vec![0x81];
    match text.len() {
        small @ 0..126 => frame.push(0x80 | small as u8),
        more => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&(more as u16).to_be_bytes());
        }
    }
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(text.as_bytes());
    frame
}

/// An event: its `id`, which may be empty, and its data.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Event<'a> {
    pub(crate) id: Option<&'a [u8]>,
    pub(crate) data: Option<&'a [u8]>,
}

/// The first event and its length, if it is whole. The server writes the data of an event in one line.
pub(crate) fn event(bytes: &[u8]) -> Option<(Event<'_>, usize)> {
    let end = bytes.windows(2).position(|pair| pair == b"\n\n")?;
    let mut event = Event::default();
    for line in bytes[..end].split(|byte| *byte == b'\n') {
        if let Some(id) = line.strip_prefix(b"id:") {
            event.id = Some(id.trim_ascii());
        } else if let Some(data) = line.strip_prefix(b"data:") {
            event.data = Some(data.trim_ascii());
        }
    }
    Some((event, end + 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_in_any_pieces() {
        let mut bytes = vec![0x81, 2, b'o', b'k', 0x81, 126, 0, 200];
        bytes.extend([b'x'; 200]);
        bytes.extend([0x88, 2, 0x0f, 0xa0]);
        for size in [1, 3, 7, bytes.len()] {
            let (mut unread, mut lengths, mut code) = (Unread::default(), Vec::new(), None);
            for piece in bytes.chunks(size) {
                let fed = unread.feed(piece, |bytes| {
                    let Some((frame, length)) = frame(bytes) else { return Ok(0) };
                    match frame {
                        Frame::Text(text) => lengths.push(text.len()),
                        Frame::Close(with) => code = with,
                        Frame::Other(_) => return Err(()),
                    }
                    Ok(length)
                });
                assert_eq!(fed, Ok(()));
            }
            assert_eq!((lengths, code), (vec![2, 200], Some(4000)));
        }
    }

    #[test]
    fn what_a_client_says_is_framed_by_its_length() {
        assert_eq!(masked("hi"), [0x81, 0x82, 0, 0, 0, 0, b'h', b'i']);
        let long = masked(&"x".repeat(300));
        assert_eq!(long[..8], [0x81, 0xfe, 1, 44, 0, 0, 0, 0]);
        assert_eq!(long.len(), 308);
    }

    #[test]
    fn events_have_an_id_an_empty_one_or_none() {
        let bytes =
            b"retry: 7\n\nevent: delta\nid: p1\ndata: {}\n\nevent: reset\nid:\ndata: {}\n\ndata: ";
        let (first, length) = event(bytes).unwrap_or_default();
        assert_eq!(first, Event::default());
        let (second, more) = event(&bytes[length..]).unwrap_or_default();
        assert_eq!(second, Event { id: Some(b"p1"), data: Some(b"{}") });
        let (third, most) = event(&bytes[length + more..]).unwrap_or_default();
        assert_eq!(third, Event { id: Some(b""), data: Some(b"{}") });
        assert_eq!(event(&bytes[length + more + most..]), None);
    }
}
