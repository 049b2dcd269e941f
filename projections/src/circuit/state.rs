//! State as a checkpoint has it: opaque bytes by store and slot.
//!
//! A store is a part of an operator's state whose entries have slots. Parts of later checkpoints
//! stand over those of earlier ones: of one slot the last entry counts.

use crate::RuntimeError;

/// Some entries of one store, each as it stood at a cut.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct StatePart {
    /// Which store.
    pub store: u32,
    /// The slots of the entries, ascending.
    pub slots: Vec<u64>,
    /// Where the bytes of each entry end.
    pub ends: Vec<u64>,
    /// The entries' bytes; one without bytes says that nothing stands at its slot any more.
    pub bytes: Vec<u8>,
}

impl StatePart {
    /// The entries: slot and bytes.
    pub fn entries(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let bytes = starts
            .zip(&self.ends)
            .map(|(start, end)| self.bytes.get(start as usize..*end as usize).unwrap_or_default());
        self.slots.iter().copied().zip(bytes)
    }

    /// What it takes, in bytes.
    pub fn size(&self) -> usize {
        self.bytes.len() + self.slots.len() * 16
    }
}

/// What the circuit keeps beside its operators, whole in every checkpoint.
pub(crate) const CIRCUIT: u32 = u32::MAX - 1;
/// The tenants' snapshots, by tenant.
pub(crate) const TENANTS: u32 = u32::MAX - 2;

/// The stores of a node: its number and theirs make the number of a store.
const STORES: u32 = 4;

/// The number of a node's store.
pub(crate) fn store(node: usize, part: u32) -> u32 {
    node as u32 * STORES + part
}

/// The node of a store, and the store's place in it.
pub(crate) fn node(store: u32) -> (usize, u32) {
    ((store / STORES) as usize, store % STORES)
}

/// What operators give to a checkpoint: as much as there is room for.
pub(crate) struct Capture {
    /// The node that is asked.
    pub(crate) node: usize,
    /// Bytes that may still be taken.
    pub(crate) room: usize,
    /// What was taken.
    pub(crate) parts: Vec<StatePart>,
}

impl Capture {
    /// Takes what a journal gives.
    pub(crate) fn push(&mut self, part: StatePart) {
        self.room = self.room.saturating_sub(part.size());
        self.parts.push(part);
    }
}

/// Writes bytes with their length before them.
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    out.extend_from_slice(bytes);
}

/// Writes a number.
pub(crate) fn put_i64(out: &mut Vec<u8>, number: i64) {
    out.extend_from_slice(&number.to_le_bytes());
}

/// An entry that is read from its beginning on.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], RuntimeError> {
        let (first, rest) = self.0.split_first_chunk::<N>().ok_or_else(damaged)?;
        self.0 = rest;
        Ok(*first)
    }

    /// A number of 64 bits.
    pub(crate) fn i64(&mut self) -> Result<i64, RuntimeError> {
        self.array().map(i64::from_le_bytes)
    }

    /// A number of 32 bits.
    pub(crate) fn u32(&mut self) -> Result<u32, RuntimeError> {
        self.array().map(u32::from_le_bytes)
    }

    /// So many bytes.
    pub(crate) fn fixed<const N: usize>(&mut self) -> Result<[u8; N], RuntimeError> {
        self.array()
    }

    /// Bytes with their length before them.
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], RuntimeError> {
        let length = self.u32()? as usize;
        let (bytes, rest) = self.0.split_at_checked(length).ok_or_else(damaged)?;
        self.0 = rest;
        Ok(bytes)
    }
}

/// An entry is not what its operator wrote.
pub(crate) fn damaged() -> RuntimeError {
    let message =
        "the state of a checkpoint does not fit the views: it is of another version, or damaged";
    RuntimeError { message: message.to_owned() }
}
