//! Avro's binary encoding, as its specification has it.

/// A body as it grows.
pub(crate) struct Record(Vec<u8>);

impl Record {
    /// A record of the schema with that id, with nothing in it yet.
    pub(crate) fn new(id: u32) -> Self {
        let mut body = vec![0];
        body.extend_from_slice(&id.to_be_bytes());
        Self(body)
    }

    /// An int, a long, or the place of a branch of a union: zigzag, then seven bits a byte.
    pub(crate) fn long(mut self, value: i64) -> Self {
        let mut rest = (value << 1 ^ value >> 63).cast_unsigned();
        while rest >= 0x80 {
            self.0.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        self.0.push(rest as u8);
        self
    }

    /// Bytes, after their length.
    pub(crate) fn bytes(self, bytes: &[u8]) -> Self {
        let mut grown = self.long(bytes.len() as i64);
        grown.0.extend_from_slice(bytes);
        grown
    }

    /// A string.
    pub(crate) fn text(self, text: &str) -> Self {
        self.bytes(text.as_bytes())
    }

    /// A boolean, or bytes without a length.
    pub(crate) fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(crate) fn done(self) -> Vec<u8> {
        self.0
    }
}
