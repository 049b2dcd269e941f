//! Server-Sent Events, as far as the service sends them: `event`, `id`, `data`.

use super::Failure;

/// The longest message that is held.
const MOST: usize = 64 << 20;

/// One message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Message {
    /// Its type.
    pub(super) event: String,
    /// The position, to resume from.
    pub(super) id: Option<String>,
    /// Its JSON.
    pub(super) data: String,
}

/// Cuts a stream of bytes into messages.
#[derive(Debug, Default)]
pub(super) struct Parser {
    rest: Vec<u8>,
    current: Message,
}

impl Parser {
    /// Takes some bytes; gives the messages that they complete.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<Vec<Message>, Failure> {
        self.rest.extend_from_slice(bytes);
        if self.rest.len() + self.current.data.len() > MOST {
            return Err(Failure::Failed(format!("a message of more than {MOST} bytes came")));
        }
        let mut messages = Vec::new();
        let mut from = 0;
        while let Some(length) = memchr::memchr(b'\n', &self.rest[from..]) {
            let line = &self.rest[from..from + length];
            from += length + 1;
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.is_empty() {
                let message = std::mem::take(&mut self.current);
                if !message.data.is_empty() {
                    messages.push(message);
                }
                continue;
            }
            let line = str::from_utf8(line)
                .map_err(|_| Failure::Failed(String::from("the stream is not UTF-8")))?;
            self.current.line(line);
        }
        self.rest.drain(..from);
        Ok(messages)
    }
}

impl Message {
    fn line(&mut self, line: &str) {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event),
            "id" => self.id = Some(value.to_owned()),
            "data" => {
                if !self.data.is_empty() {
                    self.data.push('\n');
                }
                self.data.push_str(value);
            }
            // A comment, or a field of a later version.
            _ => {}
        }
    }
}
