//! An event stream as gzip: what is long and one client's own is compressed, the rest is stored.
//!
//! A compressor that remembers what it has seen takes hundreds of kilobytes, too much for each of many
//! connections. So each piece is packed by itself, with a compressor that is gone after it: a piece
//! ends at a byte's boundary and refers to nothing before it, and so all of them are blocks of one and
//! the same stream. What a connection keeps is a checksum.

use std::io::{Error, Write};

use axum::http::HeaderMap;
use axum::http::header::ACCEPT_ENCODING;
use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};

/// The head of a stream (RFC 1952): deflate, no name, no time, no system.
const HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
/// An empty block that is the last one.
const END: [u8; 2] = [3, 0];
/// The most bytes in a block that is stored.
const STORED: usize = 0xffff;
/// Bytes from which on compressing is worth a compressor.
const WORTH: usize = 4 << 10;

/// The gzip of one event stream.
pub(crate) struct Gzip {
    /// Of all bytes so far, unpacked.
    checksum: Crc,
    is_begun: bool,
}

impl Gzip {
    /// A stream of which nothing is written.
    pub(crate) fn new() -> Self {
        Self { checksum: Crc::new(), is_begun: false }
    }

    /// A piece, so that all of it can be unpacked before the next one comes; compressed if it is
    /// `own` to this stream and long enough.
    pub(crate) fn pack(&mut self, piece: &[u8], own: bool) -> Result<Vec<u8>, Error> {
        self.checksum.update(piece);
        let mut out = Vec::with_capacity(if own { piece.len() / 4 } else { piece.len() + 16 });
        self.begin(&mut out);
        if own && piece.len() >= WORTH {
            let mut encoder = DeflateEncoder::new(out, Compression::fast());
            encoder.write_all(piece)?;
            encoder.flush()?;
            // What the encoder writes at its own end would be the end of the stream.
            return Ok(std::mem::take(encoder.get_mut()));
        }
        for block in piece.chunks(STORED) {
            let length = block.len() as u16;
            out.push(0);
            out.extend_from_slice(&length.to_le_bytes());
            out.extend_from_slice(&(!length).to_le_bytes());
            out.extend_from_slice(block);
        }
        Ok(out)
    }

    /// The end of the stream.
    pub(crate) fn finish(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        self.begin(&mut out);
        out.extend_from_slice(&END);
        out.extend_from_slice(&self.checksum.sum().to_le_bytes());
        out.extend_from_slice(&self.checksum.amount().to_le_bytes());
        out
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.is_begun, true) {
            out.extend_from_slice(&HEAD);
        }
    }
}

/// Whether a client says that it takes gzip.
pub(crate) fn is_accepted(headers: &HeaderMap) -> bool {
    let texts = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    texts.flat_map(|text| text.split(',')).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let weight = weight.trim().strip_prefix("q=").map_or(Ok(1.0), str::parse::<f32>);
        name.trim().eq_ignore_ascii_case("gzip") && weight.is_ok_and(|weight| weight > 0.0)
    })
}

#[cfg(test)]
#[path = "gzip_tests.rs"]
mod tests;
