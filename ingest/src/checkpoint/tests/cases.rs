//! One thing at a time.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use proptest::prelude::*;

use super::super::merge::due;
use super::super::{
    CheckpointError, Checkpoints, Commits, Committed, Extent, Options, StatePart, TenantViews,
};
use super::crashes::SMALL;
use super::faults::Faulty;
use super::model::{Model, Random, load};
use super::register::{Lost, Register};

async fn open(objects: &Arc<impl ObjectStore>, register: &Arc<Register>) -> Checkpoints {
    Checkpoints::open(objects.clone(), register.clone(), 0, "here", SMALL).await.unwrap()
}

/// Commits `count` checkpoints, each after changes; the model after each.
async fn commit(checkpoints: &Checkpoints, count: u64, seed: u64) -> Vec<(Model, Committed)> {
    let (mut model, mut random, mut all) = (Model::default(), Random(seed), Vec::new());
    for step in 1..=count {
        model.change(&mut random);
        let extent = checkpoints.extent();
        let committed = model.write(checkpoints, extent, step, &mut random).await.unwrap();
        model.committed();
        all.push((model.clone(), committed));
    }
    all
}

async fn files(objects: &impl ObjectStore) -> Vec<Path> {
    let files: Vec<_> = objects.list(None).try_collect().await.unwrap();
    files.into_iter().map(|file| file.location).collect()
}

#[tokio::test]
async fn large_parts_and_entries_come_back_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let objects = Arc::new(LocalFileSystem::new_with_prefix(folder.path()).unwrap());
    let options = Options { file_bytes: 3 << 20, ..Options::default() };
    let checkpoints = Checkpoints::open(objects, Arc::new(Register::default()), 0, "here", options)
        .await
        .unwrap();
    let mut random = Random(1);
    let entry = |slot: u64, length: usize| vec![slot as u8 ^ 0x5a; length];
    let mut entries: BTreeMap<u64, Vec<u8>> =
        (0..40_000).map(|slot| (slot, entry(slot, random.below(300) as usize + 1))).collect();
    entries.insert(17, entry(17, 5 << 20));
    entries.insert(40_001, Vec::new());
    let (mut slots, mut ends, mut bytes) = (Vec::new(), Vec::new(), Vec::new());
    for (slot, entry) in &entries {
        slots.push(*slot);
        bytes.extend_from_slice(entry);
        ends.push(bytes.len() as u32);
    }
    let part = StatePart { store: 9, slots, ends, bytes: bytes.into() };
    let mut writer = checkpoints.begin(Extent::Whole).unwrap();
    writer.state(part).await.unwrap();
    let committed = writer.commit(Model::default().cut(1)).await.unwrap();
    let run = &committed.checkpoint.state[0];
    assert!(run.files.len() >= 3, "{run:?}");
    let (_, found) = checkpoints
        .restore(move |restored| {
            assert_eq!(restored.stores().len(), 1);
            let mut found = BTreeMap::new();
            for block in &restored.stores()[0].blocks {
                let part = restored.state_part(*block)?;
                assert!(part.bytes.len() <= 4 << 20 || part.slots == [17]);
                found.extend(part.entries().map(|(slot, bytes)| (slot, bytes.to_vec())));
            }
            Ok(found)
        })
        .await
        .unwrap()
        .unwrap();
    assert!(found == entries);
}

#[tokio::test]
async fn nothing_committed_is_nothing_to_restore() {
    let (objects, register) = (Arc::new(InMemory::new()), Arc::default());
    let checkpoints = open(&objects, &register).await;
    assert!(checkpoints.newest().await.unwrap().is_none());
    assert_eq!(checkpoints.extent(), Extent::Whole);
    checkpoints.begin(Extent::Changes).unwrap_err();
    // A writer that is dropped leaves nothing, and makes room for the next.
    let writer = checkpoints.begin(Extent::Whole).unwrap();
    checkpoints.begin(Extent::Whole).unwrap_err();
    drop(writer);
    checkpoints.begin(Extent::Whole).unwrap();
    assert!(files(&*objects).await.is_empty());
}

#[tokio::test]
async fn an_owner_of_an_earlier_epoch_commits_nothing_and_removes_nothing() {
    let (objects, register) = (Arc::new(InMemory::new()), Arc::default());
    let before = open(&objects, &register).await;
    let (model, _) = commit(&before, 4, 1).await.pop().unwrap();
    let mut late = before.begin(Extent::Changes).unwrap();
    late.ids(&[1; 500]).await.unwrap();
    let now = open(&objects, &register).await;
    let (_, (held, next_chunk)) = now.restore(load).await.unwrap().unwrap();
    assert_eq!(held, model.held);
    let mut successor = Model::new(held, next_chunk);
    let mut random = Random(2);
    for step in 11..16 {
        successor.change(&mut random);
        successor.write(&now, Extent::Changes, step, &mut random).await.unwrap();
        successor.committed();
    }
    let fenced = late.commit(model.cut(5)).await.unwrap_err();
    assert!(matches!(fenced, CheckpointError::Fenced { epoch: 1, now: 2, .. }), "{fenced}");
    before.sweep().await.unwrap();
    let after = open(&objects, &register).await;
    let (checkpoint, (held, _)) = after.restore(load).await.unwrap().unwrap();
    assert_eq!((checkpoint.number, held), (9, successor.held));
}

#[tokio::test]
async fn only_the_newest_are_kept_with_their_files() {
    let (objects, register) = (Arc::new(InMemory::new()), Arc::default());
    let checkpoints = open(&objects, &register).await;
    let all = commit(&checkpoints, 9, 3).await;
    let kept: Vec<u64> = all[8].1.kept.iter().map(|checkpoint| checkpoint.number).collect();
    assert_eq!(kept, [9, 8, 7]);
    let listed = register.listed(0).await.unwrap();
    assert_eq!(listed.iter().map(|commit| commit.number).collect::<Vec<_>>(), kept);
    // A whole one, and then two more: nothing of the ones before it is left.
    let mut model = all.into_iter().last().unwrap().0;
    let mut random = Random(4);
    for (step, extent) in [(10, Extent::Whole), (11, Extent::Changes), (12, Extent::Changes)] {
        model.write(&checkpoints, extent, step, &mut random).await.unwrap();
        model.committed();
    }
    let whole = &checkpoints.inner.standing().listed[2].checkpoint.clone().unwrap();
    let oldest = whole.files().map(|file| file.path.clone()).min().unwrap();
    for file in files(&*objects).await {
        assert!(file.to_string() >= oldest, "{file} is older than {oldest}");
    }
}

#[tokio::test]
async fn after_one_that_is_kept_alone_nothing_of_the_others_is_left() {
    let (objects, register) = (Arc::new(InMemory::new()), Arc::default());
    let checkpoints = open(&objects, &register).await;
    let (model, _) = commit(&checkpoints, 4, 3).await.pop().unwrap();
    let mut changes = checkpoints.begin(Extent::Changes).unwrap();
    assert!(matches!(changes.alone(), Err(CheckpointError::Misuse(_))));
    drop(changes);
    let before = files(&*objects).await;
    let mut writer = checkpoints.begin(Extent::Whole).unwrap();
    writer.alone().unwrap();
    let mut cut = model.cut(5);
    cut.catalogue.clear();
    writer.ids(&[5]).await.unwrap();
    let committed = writer.commit(cut).await.unwrap();
    assert_eq!(committed.kept.len(), 1);
    assert_eq!(register.listed(0).await.unwrap().len(), 1);
    let after = files(&*objects).await;
    assert_eq!(after.len(), 2);
    assert!(after.iter().all(|file| !before.contains(file)));
}

/// Damages the file of a newest checkpoint whose name ends so.
async fn damage(objects: &InMemory, kind: &str, how: impl Fn(&mut Vec<u8>)) {
    let newest =
        files(objects).await.into_iter().filter(|path| path.as_ref().ends_with(kind)).max();
    let newest = newest.unwrap();
    let mut bytes = objects.get(&newest).await.unwrap().bytes().await.unwrap().to_vec();
    how(&mut bytes);
    if bytes.is_empty() {
        objects.delete(&newest).await.unwrap();
    } else {
        objects.put(&newest, bytes.into()).await.unwrap();
    }
}

#[tokio::test]
async fn of_a_damaged_checkpoint_nothing_is_used_but_the_one_before() {
    let cut: fn(&mut Vec<u8>) = |bytes| bytes.truncate(bytes.len() - 1);
    let half: fn(&mut Vec<u8>) = |bytes| bytes.truncate(bytes.len() / 2);
    let longer: fn(&mut Vec<u8>) = |bytes| bytes.push(0);
    let flip: fn(&mut Vec<u8>) = |bytes| bytes[12] ^= 0x80;
    let flip_end: fn(&mut Vec<u8>) = |bytes| *bytes.last_mut().unwrap() ^= 1;
    let gone: fn(&mut Vec<u8>) = Vec::clear;
    for kind in ["state", "views", "ids", "manifest"] {
        for how in [cut, half, longer, flip, flip_end, gone] {
            let (objects, register) = (Arc::new(InMemory::new()), Arc::default());
            let all = commit(&open(&objects, &register).await, 4, 7).await;
            damage(&objects, kind, how).await;
            let checkpoints = open(&objects, &register).await;
            let (checkpoint, (held, next_chunk)) =
                checkpoints.restore(load).await.unwrap().unwrap();
            assert_eq!((checkpoint.number, &held), (3, &all[2].0.held));
            // From there it goes on, after the number of the damaged one.
            let (mut model, mut random) = (Model::new(held, next_chunk), Random(8));
            model.change(&mut random);
            let committed =
                model.write(&checkpoints, Extent::Changes, 20, &mut random).await.unwrap();
            assert_eq!(committed.checkpoint.number, 5);
            let (_, (held, _)) =
                open(&objects, &register).await.restore(load).await.unwrap().unwrap();
            assert_eq!(held, model.held);
        }
    }
}

#[tokio::test]
async fn whoever_reads_what_a_later_owner_removes_is_told_so() {
    let (objects, register) = (Arc::new(InMemory::new()), Arc::default());
    commit(&open(&objects, &register).await, 3, 7).await;
    let slow = open(&objects, &register).await;
    // Another one takes over, and those that the slow one knows go with what it commits.
    commit(&open(&objects, &register).await, 4, 7).await;
    let fenced = slow.restore(load).await.unwrap_err();
    assert!(matches!(fenced, CheckpointError::Fenced { epoch: 2, now: 3, .. }), "{fenced}");
    assert!(open(&objects, &register).await.restore(load).await.unwrap().is_some());
}

#[tokio::test]
async fn where_none_is_whole_it_is_said_and_a_whole_one_can_begin_anew() {
    let (objects, register) = (Arc::new(InMemory::new()), Arc::default());
    let all = commit(&open(&objects, &register).await, 3, 7).await;
    let base = Path::from(all[0].1.checkpoint.state[0].files[0].path.as_str());
    objects.delete(&base).await.unwrap();
    let checkpoints = open(&objects, &register).await;
    let nothing = checkpoints.restore(load).await.unwrap_err();
    assert!(matches!(nothing, CheckpointError::NothingWhole { listed: 3, .. }), "{nothing}");
    let mut random = Random(8);
    let mut model = Model::default();
    model.change(&mut random);
    model.write(&checkpoints, Extent::Whole, 20, &mut random).await.unwrap();
    let (_, (held, _)) = open(&objects, &register).await.restore(load).await.unwrap().unwrap();
    assert_eq!(held, model.held);
}

#[tokio::test]
async fn damage_that_a_merge_meets_makes_the_next_checkpoint_a_whole_one() {
    let (objects, register) = (Arc::new(InMemory::new()), Arc::default());
    let checkpoints = open(&objects, &register).await;
    let (mut model, committed) = commit(&checkpoints, 3, 7).await.pop().unwrap();
    let base = Path::from(committed.checkpoint.state[0].files[0].path.as_str());
    objects.delete(&base).await.unwrap();
    let met = loop {
        match checkpoints.merge().await {
            Ok(merged) => assert!(merged),
            Err(error) => break error,
        }
        let mut random = Random(9);
        model.change(&mut random);
        model.write(&checkpoints, Extent::Changes, 4, &mut random).await.unwrap();
    };
    assert!(met.to_string().contains(base.as_ref()), "{met}");
    assert_eq!(checkpoints.extent(), Extent::Whole);
    model.write(&checkpoints, Extent::Whole, 5, &mut Random(10)).await.unwrap();
    let (_, (held, _)) = open(&objects, &register).await.restore(load).await.unwrap().unwrap();
    assert_eq!(held, model.held);
}

#[tokio::test]
async fn a_full_disk_is_said_and_once_there_is_room_it_goes_on() {
    let (inner, register) = (Arc::new(InMemory::new()), Arc::default());
    let objects = Faulty::new(inner.clone(), []);
    let checkpoints = open(&objects, &register).await;
    let (mut model, _) = commit(&checkpoints, 3, 11).await.pop().unwrap();
    let before = files(&*inner).await;
    objects.set_room(Some(0));
    let mut random = Random(12);
    for step in 4..8 {
        model.change(&mut random);
        let full = model.write(&checkpoints, Extent::Changes, step, &mut random).await.unwrap_err();
        let said = full.to_string();
        assert!(said.contains("no space left") && said.contains("checkpoints/0/"), "{said}");
        assert_eq!(register.number(), 3);
    }
    objects.set_room(None);
    model.change(&mut random);
    let committed = model.write(&checkpoints, Extent::Changes, 8, &mut random).await.unwrap();
    assert_eq!(committed.checkpoint.number, 4);
    let (_, (held, _)) = open(&inner, &register).await.restore(load).await.unwrap().unwrap();
    assert_eq!(held, model.held);
    checkpoints.sweep().await.unwrap();
    let after = files(&*inner).await;
    let added = after.iter().filter(|file| !before.contains(file)).count();
    assert_eq!(
        added,
        committed.checkpoint.files().count() + 1 - {
            let named = |file: &&_| before.iter().any(|path| path.as_ref() == *file);
            committed.checkpoint.files().map(|file| file.path.as_str()).filter(named).count()
        }
    );
}

#[tokio::test]
async fn a_commit_of_which_nothing_is_heard_is_undecided_until_it_is_resolved() {
    for lost in [Lost::Question, Lost::Answer] {
        let (objects, register) = (Arc::new(InMemory::new()), Arc::new(Register::default()));
        let checkpoints = open(&objects, &register).await;
        let (mut model, _) = commit(&checkpoints, 2, 13).await.pop().unwrap();
        let mut random = Random(14);
        model.change(&mut random);
        register.lose([lost; 4]);
        let undecided = model.write(&checkpoints, Extent::Changes, 3, &mut random).await;
        let undecided = undecided.unwrap_err();
        assert!(matches!(undecided, CheckpointError::Undecided { number: 3, .. }), "{undecided}");
        checkpoints.begin(Extent::Changes).unwrap_err();
        checkpoints.sweep().await.unwrap();
        let committed = checkpoints.resolve().await.unwrap().unwrap();
        assert_eq!(committed.checkpoint.number, 3);
        assert!(checkpoints.resolve().await.unwrap().is_none());
        let (_, (held, _)) = open(&objects, &register).await.restore(load).await.unwrap().unwrap();
        assert_eq!(held, model.held);
    }
}

#[tokio::test]
async fn merging_keeps_the_files_few_and_the_bytes_little() {
    let (objects, register) = (Arc::new(InMemory::new()), Arc::default());
    let checkpoints = open(&objects, &register).await;
    let (mut model, mut random) = (Model::default(), Random(15));
    let mut last = None;
    for step in 1..=60 {
        model.change(&mut random);
        let extent = checkpoints.extent();
        last = Some(model.write(&checkpoints, extent, step, &mut random).await.unwrap());
        model.committed();
        while checkpoints.merge().await.unwrap() {}
    }
    let checkpoint = last.unwrap().checkpoint;
    // A checkpoint adds its own run to what was merged after the one before.
    assert!(checkpoint.state.len() <= SMALL.runs + 2, "{} runs", checkpoint.state.len());
    assert!(checkpoint.ledger.len() <= SMALL.runs + 2, "{} runs", checkpoint.ledger.len());
    let held = &model.held;
    let state: usize = held.state.values().chain(held.marks.values()).map(|e| e.len() + 8).sum();
    let written: u64 = checkpoint.state.iter().map(super::super::Run::bytes).sum();
    assert!(written < 4 * state as u64, "{written} bytes for {state}");
    let views = held.views.values().flat_map(BTreeMap::values).flatten();
    let chunks: usize = views.map(|(_, bytes)| bytes.len() + 12).sum();
    let written: u64 = checkpoint.chunks.iter().map(|file| file.bytes).sum();
    assert!(written < 4 * chunks as u64 + 4000, "{written} bytes for {chunks}");
    let (_, (held, _)) = open(&objects, &register).await.restore(load).await.unwrap().unwrap();
    assert_eq!(held, model.held);
}

#[tokio::test]
async fn what_is_gone_is_not_in_a_merged_base() {
    let (objects, register) = (Arc::new(InMemory::new()), Arc::default());
    let checkpoints = open(&objects, &register).await;
    let entries = |slots: std::ops::Range<u64>, each: &[u8]| StatePart {
        store: 1,
        slots: slots.clone().collect(),
        ends: slots.map(|slot| (slot as u32 + 1) * each.len() as u32).collect(),
        bytes: Bytes::from(each.repeat(200)),
    };
    for (step, each) in [(1, b"value".as_slice()), (2, b"")] {
        let mut writer = checkpoints.begin(checkpoints.extent()).unwrap();
        let part = entries(0..200, each);
        writer
            .state(StatePart { bytes: part.bytes.slice(..200 * each.len()), ..part })
            .await
            .unwrap();
        writer.commit(Model::default().cut(step)).await.unwrap();
    }
    let runs = checkpoints.inner.standing().base.as_ref().unwrap().checkpoint.state.clone();
    assert_eq!(runs.len(), 2);
    // They outweigh each other only together: a third makes it due.
    let mut writer = checkpoints.begin(Extent::Changes).unwrap();
    writer.state(entries(0..200, b"")).await.unwrap();
    writer.commit(Model::default().cut(3)).await.unwrap();
    assert!(checkpoints.merge().await.unwrap());
    let writer = checkpoints.begin(Extent::Changes).unwrap();
    let committed = writer.commit(Model::default().cut(4)).await.unwrap();
    assert!(committed.checkpoint.state.is_empty(), "{:?}", committed.checkpoint.state);
}

#[tokio::test]
async fn what_does_not_fit_together_is_refused() {
    let (objects, register) = (Arc::new(InMemory::new()), Arc::default());
    let checkpoints = open(&objects, &register).await;
    let part = |slots: &[u64], ends: &[u32]| StatePart {
        store: 1,
        slots: slots.to_vec(),
        ends: ends.to_vec(),
        bytes: Bytes::from_static(b"abcd"),
    };
    for wrong in [
        part(&[2, 1], &[2, 4]),
        part(&[1, 1], &[2, 4]),
        part(&[1, 2], &[4, 2]),
        part(&[1, 2], &[2, 3]),
        part(&[1, 2], &[4]),
        StatePart { store: u32::MAX, ..part(&[1], &[4]) },
    ] {
        let mut writer = checkpoints.begin(Extent::Whole).unwrap();
        let refused = writer.state(wrong).await.unwrap_err();
        assert!(matches!(refused, CheckpointError::Misuse(_)), "{refused}");
    }
    let mut writer = checkpoints.begin(Extent::Whole).unwrap();
    writer.chunk(1, b"chunk").await.unwrap();
    let mut cut = Model::default().cut(1);
    cut.catalogue = vec![TenantViews { tenant: 1, views: vec![("v".to_owned(), vec![1, 2])] }];
    let refused = writer.commit(cut).await.unwrap_err();
    assert!(refused.to_string().contains("never written, 2 the first"), "{refused}");
}

#[tokio::test]
async fn what_a_killed_process_was_writing_is_removed_from_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let objects = Arc::new(LocalFileSystem::new_with_prefix(folder.path()).unwrap());
    let register = Arc::default();
    let checkpoints = open(&objects, &register).await;
    commit(&checkpoints, 1, 1).await;
    let left = folder.path().join("checkpoints/0/0000000001-0000000077.state#1");
    std::fs::write(&left, b"half").unwrap();
    assert_eq!(checkpoints.sweep().await.unwrap(), 1);
    assert!(!left.exists());
    assert!(checkpoints.restore(load).await.unwrap().is_some());
}

#[tokio::test]
async fn within_its_grace_no_file_is_removed_and_none_of_a_later_epoch() {
    let (objects, register) = (Arc::new(InMemory::new()), Arc::new(Register::default()));
    let patient = Options { grace: Options::default().grace, ..SMALL };
    let young = Path::from("checkpoints/0/0000000001-0000000099.state");
    let later = Path::from("checkpoints/0/0000000009-0000000001.state");
    let foreign = Path::from("checkpoints/0/notes.txt");
    for path in [&young, &later, &foreign] {
        objects.put(path, "x".into()).await.unwrap();
    }
    let checkpoints =
        Checkpoints::open(objects.clone(), register.clone(), 0, "here", patient).await.unwrap();
    assert_eq!(checkpoints.sweep().await.unwrap(), 0);
    let unmerged = checkpoints.unmerged().unwrap();
    assert!(checkpoints.unmerged().is_none(), "one at a time");
    assert!(!checkpoints.merge().await.unwrap(), "nothing is merged meanwhile");
    assert_eq!(checkpoints.sweep_at_once(&unmerged).await.unwrap(), 1);
    assert_eq!(files(&*objects).await, [later.clone(), foreign.clone()]);
    objects.put(&young, "x".into()).await.unwrap();
    assert_eq!(open(&objects, &register).await.sweep().await.unwrap(), 1);
    assert_eq!(files(&*objects).await, [later, foreign]);
}

proptest! {
    #[test]
    fn what_is_merged_leaves_few_runs_each_heavier_than_what_follows(
        sizes in prop::collection::vec(1..1000_u64, 1..200),
    ) {
        let (mut runs, mut moved, many) = (Vec::new(), 0, 8);
        for size in &sizes {
            runs.push(*size);
            while let Some(from) = due(&runs, many) {
                let merged: u64 = runs.drain(from..).sum();
                moved += merged;
                runs.push(merged);
            }
            prop_assert!(runs.len() <= many);
            let increments: u64 = runs[1..].iter().sum();
            prop_assert!(increments < runs[0]);
        }
        // Each byte is moved again only when as much has come behind it.
        let all: u64 = sizes.iter().sum();
        let doublings = u64::from(u64::BITS - (all / sizes[0]).leading_zeros());
        prop_assert!(moved <= all * (doublings + 3) * 2, "{moved} of {all}");
    }
}
