//! Snapshots as a checkpoint has them: chunks of rows that are written once, and for each tenant a
//! small record of which chunks make up its views.
//!
//! A chunk never changes, so a checkpoint writes only those that came since the last one. Whoever
//! writes holds the snapshots of the cut; the partition goes on meanwhile.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{Datelike, NaiveDate};

use super::section::{Chunk, Section};
use super::{TenantSnapshot, ViewSnapshot};
use crate::circuit::state::{Reader, damaged, put_bytes, put_i64};
use crate::{RuntimeError, Tenant};

/// Gives chunks their numbers; one for each partition, used by whoever writes its checkpoints.
#[derive(Debug)]
pub struct ViewSaver {
    /// The number of the next chunk.
    next: u64,
    /// Chunks with lower numbers are in no checkpoint that counts.
    first: u64,
}

/// One tenant's views as a checkpoint has them.
#[derive(Debug)]
pub struct SavedViews {
    /// Whose they are.
    pub tenant: Tenant,
    /// What [`crate::Partition::restore_views`] wants back.
    pub record: Vec<u8>,
    /// All chunks that the record names, for each view by its name.
    pub chunks: Vec<(String, Vec<u64>)>,
    /// Those of them that are in no checkpoint yet.
    pub new: Vec<SavedChunk>,
}

/// Some rows of a view, with their number. Cheap to clone.
#[derive(Clone, Debug)]
pub struct SavedChunk {
    /// The number: given out once.
    pub id: u64,
    chunk: Arc<Chunk>,
}

impl ViewSaver {
    /// One that numbers chunks from `next` on, which is more than the numbers of all that are there.
    pub fn new(next: u64) -> Self {
        // Nothing has the number 0.
        Self { next: next.max(1), first: 0 }
    }

    /// Forgets what was written: the next checkpoint has to hold all chunks again.
    pub fn forget(&mut self) {
        self.first = self.next;
    }

    /// A tenant's views; `builtin` is how many of them stand in checkpoints, from the first on.
    pub fn save(&mut self, snapshot: &TenantSnapshot, builtin: usize) -> SavedViews {
        let mut record = Vec::new();
        let (mut chunks, mut new) = (Vec::new(), Vec::new());
        put_i64(&mut record, snapshot.sequence as i64);
        put_i64(&mut record, snapshot.offset as i64);
        let today = snapshot.today.map_or(i64::MIN, |day| i64::from(day.num_days_from_ce()));
        put_i64(&mut record, today);
        put_i64(&mut record, snapshot.measured as i64);
        for view in snapshot.views.iter().take(builtin) {
            let mut ids = Vec::new();
            put_i64(&mut record, view.state as i64);
            let failure = view.failure.as_ref().map_or(&[][..], |error| error.message.as_bytes());
            record.push(u8::from(view.failure.is_some()));
            put_bytes(&mut record, failure);
            record.extend_from_slice(&(view.sections.len() as u32).to_le_bytes());
            for section in view.sections.iter() {
                record.extend_from_slice(&(section.chunks.len() as u32).to_le_bytes());
                for chunk in &section.chunks {
                    let id = self.number(chunk, &mut new);
                    ids.push(id);
                    put_i64(&mut record, id as i64);
                }
            }
            chunks.push((view.view.name().to_owned(), ids));
        }
        SavedViews { tenant: snapshot.tenant, record, chunks, new }
    }

    fn number(&mut self, chunk: &Arc<Chunk>, new: &mut Vec<SavedChunk>) -> u64 {
        let known = chunk.number();
        if known != 0 && known >= self.first {
            return known;
        }
        let id = self.next;
        self.next += 1;
        chunk.set_number(id);
        new.push(SavedChunk { id, chunk: chunk.clone() });
        id
    }
}

/// How far a tenant had come, as the record of its views says. It can be read whatever the views
/// are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SavedMarks {
    /// Its position's sequence.
    pub sequence: u64,
    /// The source's offset of the last input that touched it.
    pub offset: u64,
    /// Its date.
    pub today: Option<NaiveDate>,
}

impl SavedMarks {
    /// The marks of a record.
    pub fn read(record: &[u8]) -> Result<Self, RuntimeError> {
        Self::parse(&mut Reader(record))
    }

    fn parse(record: &mut Reader<'_>) -> Result<Self, RuntimeError> {
        let (sequence, offset) = (record.i64()? as u64, record.i64()? as u64);
        let today = i32::try_from(record.i64()?).ok();
        let today = today.and_then(NaiveDate::from_num_days_from_ce_opt);
        Ok(Self { sequence, offset, today })
    }
}

impl SavedChunk {
    /// What a checkpoint keeps of it.
    pub fn bytes(&self) -> Vec<u8> {
        self.chunk.write()
    }

    /// The chunk of these bytes.
    pub fn read(id: u64, bytes: &[u8]) -> Result<Self, RuntimeError> {
        let chunk = Chunk::read(&mut Reader(bytes))?;
        chunk.set_number(id);
        Ok(Self { id, chunk: Arc::new(chunk) })
    }
}

impl TenantSnapshot {
    /// The snapshot of a record, made of these chunks; `views` are without rows.
    pub(crate) fn restore(
        tenant: Tenant,
        record: &[u8],
        mut views: Vec<ViewSnapshot>,
        chunks: &HashMap<u64, SavedChunk>,
    ) -> Result<Self, RuntimeError> {
        let mut record = Reader(record);
        let SavedMarks { sequence, offset, today } = SavedMarks::parse(&mut record)?;
        let measured = record.i64()? as u64;
        for view in &mut views {
            view.restore(&mut record, chunks)?;
        }
        let (passing, unready, hidden) = (Vec::new(), Arc::default(), Arc::default());
        Ok(Self { tenant, sequence, offset, today, views, passing, unready, hidden, measured })
    }
}

impl ViewSnapshot {
    fn restore(
        &mut self,
        record: &mut Reader<'_>,
        chunks: &HashMap<u64, SavedChunk>,
    ) -> Result<(), RuntimeError> {
        let state = record.i64()? as usize;
        let [failed] = record.fixed()?;
        let message = String::from_utf8_lossy(record.bytes()?).into_owned();
        let mut sections = Vec::new();
        for _ in 0..record.u32()? {
            let of_section = (0..record.u32()?)
                .map(|_| {
                    let id = record.i64()? as u64;
                    Ok(chunks.get(&id).ok_or_else(damaged)?.chunk.clone())
                })
                .collect::<Result<_, RuntimeError>>()?;
            sections.push(Arc::new(Section::new(of_section)));
        }
        self.rows = sections.iter().map(|section| section.rows).sum();
        (self.sections, self.state) = (Arc::new(sections), state);
        self.failure = (failed == 1).then_some(RuntimeError { message });
        Ok(())
    }
}
