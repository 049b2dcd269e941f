//! The bytes of a checkpoint's file.
//!
//! ```text
//! "TMF1"
//! blocks, one after another
//! footer: count of blocks u32, then of each
//!           kind u8, store u32, entries u32, first u64, last u64, offset u64, length u32, crc32 u32
//!         count of chunks u32, then of each, over all blocks of chunks: id u64, length u32
//! ```
//! All numbers are little-endian. A block of state is its slots (u64 each), its ends (u32 each) and
//! the bytes of the entries; one of chunks the bytes of the chunks; one of ids 16 bytes each. The
//! manifest has the footer's length and checksum, and the footer the checksum of each block: so a
//! block is checked when it is read, and all of them together are the whole file.

use bytes::{Buf, Bytes};

use super::part::StatePart;

pub(super) const MAGIC: &[u8; 4] = b"TMF1";
const BLOCK: usize = 41;
const CHUNK: usize = 12;

/// What a block holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Entries of one store by slot.
    State = 1,
    /// Chunks of views by id.
    Chunks = 2,
    /// 128-bit ids.
    Ids = 3,
}

impl Kind {
    fn read(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::State),
            2 => Some(Self::Chunks),
            3 => Some(Self::Ids),
            _ => None,
        }
    }
}

/// A block, as the footer lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) kind: Kind,
    pub(super) store: u32,
    pub(super) entries: u32,
    /// The first slot; nothing for other kinds.
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) offset: u64,
    pub(super) length: u32,
    pub(super) crc: u32,
}

/// A chunk, as the footer lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ChunkEntry {
    pub(super) id: u64,
    pub(super) length: u32,
}

/// What a file holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Footer {
    pub(super) blocks: Vec<Block>,
    /// The chunks of all blocks of chunks, in their order.
    pub(super) chunks: Vec<ChunkEntry>,
}

impl Footer {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(8 + BLOCK * self.blocks.len() + CHUNK * self.chunks.len());
        out.extend_from_slice(&(self.blocks.len() as u32).to_le_bytes());
        for block in &self.blocks {
            out.push(block.kind as u8);
            out.extend_from_slice(&block.store.to_le_bytes());
            out.extend_from_slice(&block.entries.to_le_bytes());
            out.extend_from_slice(&block.first.to_le_bytes());
            out.extend_from_slice(&block.last.to_le_bytes());
            out.extend_from_slice(&block.offset.to_le_bytes());
            out.extend_from_slice(&block.length.to_le_bytes());
            out.extend_from_slice(&block.crc.to_le_bytes());
        }
        out.extend_from_slice(&(self.chunks.len() as u32).to_le_bytes());
        for chunk in &self.chunks {
            out.extend_from_slice(&chunk.id.to_le_bytes());
            out.extend_from_slice(&chunk.length.to_le_bytes());
        }
        out
    }

    /// Reads a footer that stands at `offset` of its file.
    pub(super) fn decode(mut bytes: Bytes, offset: u64) -> Option<Self> {
        let count = bytes.try_get_u32_le().ok()? as usize;
        if bytes.len() < count.checked_mul(BLOCK)? {
            return None;
        }
        let blocks = (0..count)
            .map(|_| {
                Some(Block {
                    kind: Kind::read(bytes.get_u8())?,
                    store: bytes.get_u32_le(),
                    entries: bytes.get_u32_le(),
                    first: bytes.get_u64_le(),
                    last: bytes.get_u64_le(),
                    offset: bytes.get_u64_le(),
                    length: bytes.get_u32_le(),
                    crc: bytes.get_u32_le(),
                })
            })
            .collect::<Option<Vec<_>>>()?;
        let within =
            |block: &Block| block.offset.checked_add(u64::from(block.length)) <= Some(offset);
        let count = bytes.try_get_u32_le().ok()? as usize;
        if bytes.len() != count.checked_mul(CHUNK)? || !blocks.iter().all(within) {
            return None;
        }
        let chunks = (0..count)
            .map(|_| ChunkEntry { id: bytes.get_u64_le(), length: bytes.get_u32_le() })
            .collect();
        Some(Self { blocks, chunks })
    }

    /// The blocks of chunks, each with its chunks.
    pub(super) fn chunk_blocks(&self) -> impl Iterator<Item = (&Block, &[ChunkEntry])> {
        let mut rest = self.chunks.as_slice();
        self.blocks.iter().filter(|block| block.kind == Kind::Chunks).map(move |block| {
            let (own, others) = rest.split_at(rest.len().min(block.entries as usize));
            rest = others;
            (block, own)
        })
    }
}

/// The table and the bytes of a block of state.
pub(super) fn state_block(part: StatePart) -> [Bytes; 2] {
    let mut table = Vec::with_capacity(12 * part.slots.len());
    table.extend(part.slots.iter().flat_map(|slot| slot.to_le_bytes()));
    table.extend(part.ends.iter().flat_map(|end| end.to_le_bytes()));
    [table.into(), part.bytes]
}

/// Reads a block of state; its bytes are shared, not copied. What is wrong if it is none.
pub(super) fn read_state(block: &Block, bytes: &Bytes) -> Result<StatePart, String> {
    let slots = 8 * block.entries as usize;
    let table = slots + 4 * block.entries as usize;
    if bytes.len() < table {
        return Err(format!("the block at {} is shorter than its table", block.offset));
    }
    let ((slot_bytes, _), (end_bytes, _)) =
        (bytes[..slots].as_chunks::<8>(), bytes[slots..table].as_chunks::<4>());
    let part = StatePart {
        store: block.store,
        slots: slot_bytes.iter().map(|slot| u64::from_le_bytes(*slot)).collect(),
        ends: end_bytes.iter().map(|end| u32::from_le_bytes(*end)).collect(),
        bytes: bytes.slice(table..),
    };
    match part.check() {
        Ok(()) => Ok(part),
        Err(what) => Err(format!("the block at {}: {what}", block.offset)),
    }
}

/// Reads a block of ids.
pub(super) fn read_ids(bytes: &[u8]) -> Vec<u128> {
    let (ids, _) = bytes.as_chunks::<16>();
    ids.iter().map(|id| u128::from_le_bytes(*id)).collect()
}
