//! Any course of events, cuts, merges, erasures and restarts against a plain list of what was
//! accepted. There is no S3 server here: the stores are a folder and memory.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use chrono::{TimeDelta, Utc};
use object_store::ObjectStore;
use object_store::memory::InMemory;
use projections::events::EventRegistry;
use projections::{EventType, EventTypes, Tenant};
use proptest::prelude::*;
use proptest::sample::Index;

use super::notes;
use super::support::{NAME, OTHER, all, kind, listed, mark, segment, texts};
use crate::Log;
use crate::history::merge::merge;
use crate::history::{Accepted, HistoryFile, HistoryStore, Recent, Tail};
use crate::log::{Frame, key};
use crate::objects;

/// Tenants of the events; 3 has a type of its own under the name of another.
const TENANTS: std::ops::Range<u32> = 1..5;

#[derive(Clone, Debug)]
enum Step {
    /// Events of (tenant, which type) each.
    Accept(Vec<(u32, usize)>),
    /// The type gains a field.
    Grow(usize),
    /// A cut that holds few or many rows at a time, and what a reader of before it still sees.
    Cut {
        small: bool,
    },
    /// Some files of one type become one.
    Merge(Vec<Index>),
    Compact,
    Erase(u32),
    /// Files are written and never committed; then the process ends.
    Crash,
    Trim,
}

fn step() -> impl Strategy<Value = Step> {
    let rows = prop::collection::vec((TENANTS, 0..3_usize), 1..12);
    prop_oneof![
        10 => rows.prop_map(Step::Accept),
        1 => (0..3_usize).prop_map(Step::Grow),
        4 => any::<bool>().prop_map(|small| Step::Cut { small }),
        3 => prop::collection::vec(any::<Index>(), 1..5).prop_map(Step::Merge),
        1 => Just(Step::Compact),
        1 => TENANTS.prop_map(Step::Erase),
        1 => Just(Step::Crash),
        1 => Just(Step::Trim),
    ]
}

/// An event as it was accepted.
struct Event {
    offset: u64,
    tenant: u32,
    key: String,
    /// The columns of the relation as it was then.
    columns: Vec<String>,
}

struct Course {
    objects: Arc<dyn ObjectStore>,
    types: EventRegistry,
    /// How many fields each type has gained.
    grown: [usize; 3],
    recent: Recent,
    accepted: Accepted,
    epoch: u64,
    offset: u64,
    events: Vec<Event>,
}

impl Course {
    async fn begin(objects: Arc<dyn ObjectStore>, folder: Option<&std::path::Path>) -> Self {
        let types = EventRegistry::from(EventTypes::builtin());
        let recent = match folder {
            Some(folder) => {
                Recent::Log(Log::open(&folder.join("log.db"), types.clone()).await.unwrap())
            }
            None => Recent::Tail(Tail::new(1 << 20)),
        };
        let store = HistoryStore::new(Arc::clone(&objects), 7, 0);
        let accepted = Accepted::new(store, recent.clone(), Vec::new(), 0);
        let mut course = Self {
            objects,
            types,
            grown: [0; 3],
            recent,
            accepted,
            epoch: 0,
            offset: 0,
            events: Vec::new(),
        };
        (0..3).for_each(|which| course.register(which));
        course
    }

    fn kind(&self, which: usize) -> Arc<EventType> {
        let grown = self.grown[which];
        match which {
            0 => kind(None, NAME, grown),
            1 => kind(None, OTHER, grown),
            _ => kind(Some(3), NAME, grown),
        }
    }

    fn register(&mut self, which: usize) {
        let kind = self.kind(which);
        self.types.put(EventType::owned(kind.owner(), kind.name(), kind.fields().to_vec()));
    }

    async fn accept(&mut self, rows: &[(u32, usize)]) {
        self.offset += 1;
        let mut by_type: BTreeMap<usize, Vec<(u32, u64)>> = BTreeMap::new();
        for (number, (tenant, which)) in rows.iter().enumerate() {
            let tenant = if *which == 2 { 3 } else { *tenant };
            let number = self.offset * 100 + number as u64;
            by_type.entry(*which).or_default().push((tenant, number));
        }
        let mut frame = Frame::default();
        let mut parts: HashSet<(u32, String)> = HashSet::new();
        for (which, rows) in by_type {
            let kind = self.kind(which);
            let segment = segment(&kind, &rows);
            let width = kind.relation().fields().len();
            for ((tenant, _), mut columns) in rows.iter().zip(texts(&segment.rows)) {
                columns.truncate(width);
                let key = key(&kind).into_owned();
                parts.insert((*tenant, key.clone()));
                self.events.push(Event { offset: self.offset, tenant: *tenant, key, columns });
            }
            frame.segments.push(segment);
        }
        match &self.recent {
            Recent::Log(log) => {
                let parts = serde_json::to_string(&parts).unwrap();
                let offset = log.append(frame.encode().unwrap(), parts).await.unwrap();
                assert_eq!(offset, self.offset);
            }
            Recent::Tail(tail) => tail.push(self.offset, frame.segments),
        }
    }

    async fn cut(&self, small: bool) {
        let limit = if small { 2_000 } else { 64 << 20 };
        let before = self.accepted.cut_offset();
        // Readers who began before the cut are not disturbed by it.
        let early: Vec<_> = Self::questions(self.offset)
            .map(|(tenant, which, up_to)| {
                let kind = self.kind(which);
                (tenant, which, up_to, self.accepted.scan(Tenant(tenant), &kind, up_to, None))
            })
            .collect();
        let added = self.accepted.write_bounded(self.offset, limit, &mut notes()).await.unwrap();
        assert!(added.iter().all(|file| before < file.first && file.last <= self.offset));
        let files = self.accepted.files().into_iter().chain(added).collect();
        self.accepted.publish(files, self.offset);
        assert_eq!(self.accepted.trim(self.offset).await.unwrap(), before);
        for (tenant, which, up_to, rows) in early {
            self.same(tenant, which, up_to, all(rows).await.unwrap());
        }
    }

    async fn merge(&self, picks: &[Index]) {
        let files = self.accepted.files();
        let Some(first) = picks.first().filter(|_| !files.is_empty()) else { return };
        let of_type = &first.get(&files).event_type;
        let same: Vec<_> = files.iter().filter(|file| file.event_type == *of_type).collect();
        let chosen: HashSet<&str> =
            picks.iter().map(|pick| pick.get(&same).path.as_str()).collect();
        let removed: Vec<Arc<HistoryFile>> =
            files.iter().filter(|file| chosen.contains(file.path.as_str())).cloned().collect();
        let merged = merge(self.accepted.store(), &removed, None).await.unwrap().unwrap();
        assert_eq!(merged.rows, removed.iter().map(|file| file.rows).sum::<u64>());
        let change = crate::history::Change { removed, added: vec![merged], erased: 0 };
        self.accepted.publish(change.apply(&files), self.accepted.cut_offset());
    }

    async fn compact(&self) {
        while let Some(change) =
            self.accepted.store().compact(&self.accepted.files()).await.unwrap()
        {
            let files = change.apply(&self.accepted.files());
            self.accepted.publish(files, self.accepted.cut_offset());
        }
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for file in self.accepted.files() {
            *counts.entry(file.event_type.clone()).or_default() += 1;
        }
        assert!(counts.values().all(|count| *count < 8 * 4), "{counts:?}");
    }

    async fn erase(&mut self, tenant: u32) {
        self.cut(false).await;
        let before = self.accepted.files();
        let change = self.accepted.store().erase(&before, Tenant(tenant)).await.unwrap();
        let had = self.events.iter().filter(|event| event.tenant == tenant).count();
        assert_eq!(change.erased, had as u64);
        self.events.retain(|event| event.tenant != tenant);
        self.accepted.publish(change.apply(&before), self.accepted.cut_offset());
        drop((before, change));
        self.collect(true).await;
        // Nothing of it is left: no row, no statistics, no name of a file.
        let (text, own) = (mark(tenant), format!("/{tenant}/"));
        for path in listed(&self.objects).await {
            assert!(!path.contains(&own), "{path}");
            let path = object_store::path::Path::from(path.as_str());
            let object = object_store::ObjectStoreExt::get(&self.objects, &path).await.unwrap();
            let bytes = object.bytes().await.unwrap();
            assert!(memchr::memmem::find(&bytes, text.as_bytes()).is_none(), "{path}");
        }
    }

    /// Deletes what is not listed; what is listed is all that is left.
    async fn collect(&self, at_once: bool) {
        let files = self.accepted.files();
        let mut paths: Vec<String> = files.iter().map(|file| file.path.clone()).collect();
        let names: HashSet<String> = paths.iter().cloned().collect();
        assert_eq!(names.len(), paths.len());
        let store = self.accepted.store();
        let now = Utc::now();
        store.remove_unlisted(&names, now, at_once).await.unwrap();
        if !at_once {
            let later = now + TimeDelta::hours(1);
            store.remove_unlisted(&names, later, false).await.unwrap();
        }
        paths.sort();
        assert_eq!(listed(&self.objects).await, paths);
        for file in files {
            store.verify(&file).await.unwrap();
        }
    }

    async fn crash(&mut self) {
        drop(self.accepted.write(self.offset, &mut notes()).await.unwrap());
        if let Some(change) = self.accepted.store().compact(&self.accepted.files()).await.unwrap() {
            drop(change);
        }
        let manifest: Vec<HistoryFile> =
            self.accepted.files().iter().map(|file| HistoryFile::clone(file)).collect();
        let manifest = serde_json::to_string(&manifest).unwrap();
        self.epoch += 1;
        let store = HistoryStore::new(Arc::clone(&self.objects), 7, self.epoch);
        let files: Vec<HistoryFile> = serde_json::from_str(&manifest).unwrap();
        let offset = self.accepted.cut_offset();
        let files = store.adopt(files);
        self.accepted = Accepted::new(store, self.recent.clone(), files, offset);
        self.collect(false).await;
    }

    fn questions(offset: u64) -> impl Iterator<Item = (u32, usize, u64)> + use<> {
        let up_to = [u64::MAX, offset, offset / 2];
        TENANTS.flat_map(move |tenant| {
            (0..3).flat_map(move |which| up_to.map(|up_to| (tenant, which, up_to)))
        })
    }

    fn same(&self, tenant: u32, which: usize, up_to: u64, found: Vec<Vec<String>>) {
        let kind = self.kind(which);
        let (key, width) = (key(&kind), kind.relation().fields().len());
        let mut expected: Vec<Vec<String>> = self
            .events
            .iter()
            .filter(|event| event.tenant == tenant && event.key == key && event.offset <= up_to)
            .map(|event| {
                let mut columns = event.columns.clone();
                columns.resize(width, String::new());
                columns
            })
            .collect();
        let mut found = found;
        found.sort();
        expected.sort();
        assert_eq!(found, expected, "tenant {tenant}, type {key}, up to {up_to}");
    }

    async fn check(&self) {
        for (tenant, which, up_to) in Self::questions(self.offset) {
            let kind = self.kind(which);
            let rows = all(self.accepted.scan(Tenant(tenant), &kind, up_to, None)).await.unwrap();
            // Some columns, in another order, and how far it is said to have come.
            let some = vec![3, 0];
            let reading = self.accepted.read(Tenant(tenant), &kind, up_to, Some(some));
            let whole = reading.whole().await.unwrap();
            let told: Vec<_> = futures::TryStreamExt::try_collect(reading.batches()).await.unwrap();
            let told: Vec<(u64, arrow::array::RecordBatch)> = told;
            assert!(told.is_sorted_by_key(|(done, _)| *done));
            assert!(told.iter().all(|(done, _)| *done <= whole));
            let pairs: Vec<_> = told.iter().flat_map(|(_, rows)| texts(rows)).collect();
            let expected: Vec<_> =
                rows.iter().map(|row| vec![row[3].clone(), row[0].clone()]).collect();
            assert_eq!(pairs, expected);
            self.same(tenant, which, up_to, rows);
        }
    }

    async fn follow(mut self, steps: Vec<Step>) {
        for step in steps {
            match step {
                Step::Accept(rows) => self.accept(&rows).await,
                Step::Grow(which) => {
                    self.grown[which] += 1;
                    self.register(which);
                }
                Step::Cut { small } => self.cut(small).await,
                Step::Merge(picks) => self.merge(&picks).await,
                Step::Compact => self.compact().await,
                Step::Erase(tenant) => self.erase(tenant).await,
                Step::Crash => self.crash().await,
                Step::Trim => {
                    self.accepted.trim(self.accepted.cut_offset()).await.unwrap();
                }
            }
            self.check().await;
        }
        self.compact().await;
        self.check().await;
        self.collect(false).await;
    }
}

fn run(work: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_scan_is_what_was_accepted(steps in prop::collection::vec(step(), 1..30)) {
        run(async {
            Course::begin(Arc::new(InMemory::new()), None).await.follow(steps).await;
        });
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn a_scan_over_folder_and_log_is_what_was_accepted(
        steps in prop::collection::vec(step(), 1..30),
    ) {
        run(async {
            let folder = tempfile::tempdir().unwrap();
            let objects = objects::folder(&folder.path().join("objects")).unwrap();
            Course::begin(objects, Some(folder.path())).await.follow(steps).await;
        });
    }
}
