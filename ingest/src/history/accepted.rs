//! All accepted events of a partition: the files up to the last cut, and what came since.

use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};

use arrow::array::{RecordBatch, UInt32Array};
use futures::stream::BoxStream;
use futures::{Stream, StreamExt, TryStreamExt, future, stream};
use projections::{EventBatch, EventType, Tenant};

use super::cut::{CutWriter, HELD_BYTES};
use super::scan::{WHOLE, Wanted};
use super::store::HistoryStore;
use super::tail::{Tail, rows_of};
use super::{HistoryError, HistoryFile};
use crate::stored::{BEHIND, event_batch};
use crate::{IdNotes, Log, LogError};

/// Where the events since the last cut are.
#[derive(Clone)]
pub enum Recent {
    /// In the rows of the log beyond the cut's offset.
    Log(Log),
    /// In memory.
    Tail(Tail),
}

/// All accepted events of one partition; cheap to clone.
///
/// What a reader begins with, it keeps: the list of files and the offset of their cut belong
/// together, and neither those files nor what came after that cut go away before the reader does.
#[derive(Clone)]
pub struct Accepted {
    inner: Arc<Inner>,
}

struct Inner {
    store: HistoryStore,
    recent: Recent,
    cut: RwLock<Arc<Cut>>,
    /// Cuts that somebody may still be reading from.
    earlier: Mutex<Vec<Weak<Cut>>>,
}

/// The files that hold all events up to and with an offset, and none beyond it.
struct Cut {
    files: Vec<Arc<HistoryFile>>,
    offset: u64,
}

impl Accepted {
    /// The events in `files`, as the newest committed manifest lists them with the offset of its
    /// cut, and all recent ones beyond that offset. Before the first checkpoint there are no files
    /// and the offset is 0.
    pub fn new(
        store: HistoryStore,
        recent: Recent,
        files: Vec<Arc<HistoryFile>>,
        offset: u64,
    ) -> Self {
        let cut = RwLock::new(Arc::new(Cut { files, offset }));
        Self { inner: Arc::new(Inner { store, recent, cut, earlier: Mutex::default() }) }
    }

    /// The files up to the last cut.
    pub fn files(&self) -> Vec<Arc<HistoryFile>> {
        self.cut().files.clone()
    }

    /// The offset of the last cut.
    pub fn cut_offset(&self) -> u64 {
        self.cut().offset
    }

    /// Where the files are.
    pub fn store(&self) -> &HistoryStore {
        &self.inner.store
    }

    /// Writes what came since the last cut, up to and with `up_to`, as files for the next
    /// manifest. Everything up to there must have been accepted. They count once
    /// [`publish`](Self::publish) is told that their manifest is committed. Their ids go into
    /// `notes`.
    ///
    /// # Errors
    /// What is recent cannot be read, or a file not written.
    pub async fn write(
        &self,
        up_to: u64,
        notes: &mut IdNotes,
    ) -> Result<Vec<Arc<HistoryFile>>, HistoryError> {
        self.write_bounded(up_to, HELD_BYTES, notes).await
    }

    /// The same with at most so many bytes of rows in memory.
    pub(super) async fn write_bounded(
        &self,
        up_to: u64,
        held_bytes: usize,
        notes: &mut IdNotes,
    ) -> Result<Vec<Arc<HistoryFile>>, HistoryError> {
        let cut = self.cut();
        let mut writer = CutWriter::new(&self.inner.store, held_bytes);
        match &self.inner.recent {
            Recent::Log(log) => {
                let mut rows = std::pin::pin!(log.rows(cut.offset, up_to));
                while let Some((offset, frame)) = rows.try_next().await? {
                    for segment in frame.segments {
                        notes.note(segment.event_type.name(), &segment.tenants, &segment.rows);
                        writer.push(offset, segment).await?;
                    }
                }
            }
            Recent::Tail(tail) => {
                let mut after = cut.offset;
                while let Some((offset, segments)) = tail.next(after, up_to) {
                    for segment in segments.iter() {
                        notes.note(segment.event_type.name(), &segment.tenants, &segment.rows);
                        writer.push(offset, segment.clone()).await?;
                    }
                    after = offset;
                }
            }
        }
        writer.finish().await
    }

    /// A manifest with these files, which hold everything up to `offset`, is committed: who reads
    /// from now on reads them.
    pub fn publish(&self, files: Vec<Arc<HistoryFile>>, offset: u64) {
        let mut cut = self.inner.cut.write().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *cut, Arc::new(Cut { files, offset }));
        let mut earlier = self.inner.earlier.lock().unwrap_or_else(PoisonError::into_inner);
        earlier.retain(|cut| cut.strong_count() > 0);
        earlier.push(Arc::downgrade(&before));
    }

    /// Lets go of recent events up to and with `up_to`, or as far as there are files in their
    /// place and nobody reads them. `up_to` is the offset from which a restart may have to go on:
    /// that of the oldest manifest that is kept. Returns how far it went.
    ///
    /// # Errors
    /// The log cannot be written; some of it may have gone.
    pub async fn trim(&self, up_to: u64) -> Result<u64, HistoryError> {
        let unread = {
            let now = self.cut().offset;
            let earlier = self.inner.earlier.lock().unwrap_or_else(PoisonError::into_inner);
            let read = earlier.iter().filter_map(Weak::upgrade).map(|cut| cut.offset);
            read.fold(now, u64::min)
        };
        let up_to = up_to.min(unread);
        match &self.inner.recent {
            Recent::Log(log) => log.trim(up_to).await?,
            Recent::Tail(tail) => tail.trim(up_to),
        }
        Ok(up_to)
    }

    /// Returns when a checkpoint is due for the sake of the memory: what waits there to become
    /// history is more than half of what may. What is in the log takes none, so never for that.
    pub async fn is_filling(&self) {
        match &self.inner.recent {
            Recent::Log(_) => future::pending().await,
            Recent::Tail(tail) => tail.is_filling().await,
        }
    }

    /// Rewrites what recent events were kept in, so that nothing can be found there of those that
    /// were let go of.
    ///
    /// # Errors
    /// The log cannot be written; nothing is lost.
    pub async fn scrub(&self) -> Result<(), HistoryError> {
        match &self.inner.recent {
            Recent::Log(log) => Ok(log.vacuum().await?),
            // Memory.
            Recent::Tail(_) => Ok(()),
        }
    }

    /// The tenant's events of that type up to and with the offset `up_to`, each once, with those
    /// columns of [`EventType::relation`] (all if none are named), in batches of a few megabytes.
    /// Behind those of the relation there are `source` and `extra` to be named.
    pub fn scan(
        &self,
        tenant: Tenant,
        event_type: &Arc<EventType>,
        up_to: u64,
        columns: Option<Vec<usize>>,
    ) -> impl Stream<Item = Result<RecordBatch, HistoryError>> + Send + 'static + use<> {
        self.read(tenant, event_type, up_to, columns).batches().map_ok(|(_, rows)| rows)
    }

    /// The same with all that an event is kept with: behind the relation's columns `source` (text)
    /// and `extra` (JSON text, or null), as [`DecodedBatch`](crate::DecodedBatch) has them.
    pub fn scan_stored(
        &self,
        tenant: Tenant,
        event_type: &Arc<EventType>,
        up_to: u64,
    ) -> impl Stream<Item = Result<RecordBatch, HistoryError>> + Send + 'static + use<> {
        let width = event_type.relation().fields().len() + BEHIND;
        self.scan(tenant, event_type, up_to, Some((0..width).collect()))
    }

    /// The same as a reading that tells how far it has come.
    pub fn read(
        &self,
        tenant: Tenant,
        event_type: &Arc<EventType>,
        up_to: u64,
        columns: Option<Vec<usize>>,
    ) -> Reading {
        let cut = self.cut();
        let held = |file: &&Arc<HistoryFile>| file.may_hold(tenant, event_type, up_to);
        let files = cut.files.iter().filter(held).cloned().collect();
        let width = event_type.relation().fields().len();
        let columns = columns.unwrap_or_else(|| (0..width).collect());
        let wanted = Wanted { tenant, event_type: Arc::clone(event_type), up_to, columns };
        Reading { inner: Arc::clone(&self.inner), cut, files, wanted }
    }

    /// The same as events for views, with what the fields are read from that the tenant has declared, if
    /// it has declared some.
    pub fn events(
        &self,
        tenant: Tenant,
        event_type: &Arc<EventType>,
        up_to: u64,
    ) -> impl Stream<Item = Result<EventBatch, HistoryError>> + Send + 'static + use<> {
        self.read_events(tenant, event_type, up_to).events().map_ok(|(_, events)| events)
    }

    /// The same as a reading that tells how far it has come: of [`Reading::events`].
    pub fn read_events(&self, tenant: Tenant, event_type: &Arc<EventType>, up_to: u64) -> Reading {
        let relation = 0..event_type.relation().fields().len();
        let extra = (!event_type.declared().is_empty()).then(|| event_type.extra_place());
        self.read(tenant, event_type, up_to, Some(relation.chain(extra).collect()))
    }

    fn cut(&self) -> Arc<Cut> {
        Arc::clone(&self.inner.cut.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What a tenant has of one type up to an offset, as it was when it was asked for.
pub struct Reading {
    inner: Arc<Inner>,
    // Held to the end: see `Accepted::trim`.
    cut: Arc<Cut>,
    files: Vec<Arc<HistoryFile>>,
    wanted: Wanted,
}

impl Reading {
    /// How much there is to read, in the unit in which [`batches`](Self::batches) tells how far it
    /// has come.
    ///
    /// # Errors
    /// The log cannot be read.
    pub async fn whole(&self) -> Result<u64, HistoryError> {
        let Wanted { tenant, event_type, up_to, .. } = &self.wanted;
        let recent = match &self.inner.recent {
            Recent::Log(log) => log.parts(*tenant, event_type, self.cut.offset, *up_to).await?,
            Recent::Tail(tail) => tail.count(self.cut.offset, *up_to),
        };
        Ok((self.files.len() as u64 + recent) * WHOLE)
    }

    /// The rows, each batch with how far it has come by then.
    pub fn batches(
        self,
    ) -> impl Stream<Item = Result<(u64, RecordBatch), HistoryError>> + Send + 'static + use<> {
        let Self { inner, cut, files, wanted } = self;
        let before = files.len() as u64;
        let old = inner.store.scan(files, wanted.clone());
        let new = recent(&inner.recent, cut.offset, wanted);
        let new = new.map_ok(move |(done, rows)| ((before + done) * WHOLE, rows));
        // The cut is let go of when the stream has ended or is dropped.
        let end = stream::once(async move { drop(cut) }).filter_map(|()| future::ready(None));
        old.chain(new).chain(end)
    }
}

impl Reading {
    /// The rows as events for views, each batch with how far it has come by then. To be asked of
    /// [`Accepted::read_events`].
    pub fn events(
        self,
    ) -> impl Stream<Item = Result<(u64, EventBatch), HistoryError>> + Send + 'static + use<> {
        let (tenant, event_type) = (self.wanted.tenant, Arc::clone(&self.wanted.event_type));
        self.batches().map(move |batch| {
            let (done, rows) = batch?;
            let tenants = UInt32Array::from(vec![tenant.0; rows.num_rows()]);
            Ok((done, event_batch(Arc::clone(&event_type), tenants, &rows)?))
        })
    }
}

/// The rows beyond the cut, each batch with how many offsets have been read by then.
fn recent(
    recent: &Recent,
    after: u64,
    wanted: Wanted,
) -> BoxStream<'static, Result<(u64, RecordBatch), HistoryError>> {
    match recent {
        Recent::Log(log) => {
            let Wanted { tenant, event_type, up_to, columns } = wanted;
            log.history(tenant, &event_type, after, up_to, columns)
                .map_ok(|(done, batches)| stream::iter(batches).map(move |rows| Ok((done, rows))))
                .try_flatten()
                .map_err(|error: LogError| error.into())
                .boxed()
        }
        Recent::Tail(tail) => {
            let state = (tail.clone(), after, 0, wanted);
            stream::try_unfold(state, |(tail, after, done, wanted)| async move {
                let Some((offset, segments)) = tail.next(after, wanted.up_to) else {
                    return Ok::<_, HistoryError>(None);
                };
                let (rows, done) = (rows_of(&segments, &wanted)?, done + 1);
                let rows = stream::iter(rows).map(move |rows| Ok((done, rows)));
                Ok(Some((rows, (tail, offset, done, wanted))))
            })
            .try_flatten()
            .boxed()
        }
    }
}
