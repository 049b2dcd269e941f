//! Two owners of a partition: one that was cut off in the middle of a commit, and the next, who builds
//! upon what it had committed without hearing of it.

use std::sync::Arc;

use object_store::memory::InMemory;

use super::super::{CheckpointError, Checkpoints, Extent};
use super::crashes::SMALL;
use super::model::{Model, Random, load};
use super::register::{Lost, Register};

/// How the first owner ends.
#[derive(Clone, Copy, Debug)]
enum End {
    /// Told that it does not know what became of its commit, it is dropped.
    Dropped,
    /// It asks again, and hears that it is fenced.
    Fenced,
    /// It is stopped while it waits for the answer.
    Stopped,
}

async fn open(objects: &Arc<InMemory>, register: &Arc<Register>) -> Checkpoints {
    Checkpoints::open(objects.clone(), register.clone(), 0, "here", SMALL).await.unwrap()
}

/// Lets what was spawned run to its end: nothing of it waits for anything.
async fn idle() {
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
}

/// What the first owner has of a commit that was made, and that it was not told of.
enum Left {
    Undecided(Checkpoints),
    Asking(Checkpoints, tokio::task::JoinHandle<()>),
}

/// Commits some checkpoints, the last of them unheard and with what was merged before; its contents.
async fn unheard(objects: &Arc<InMemory>, register: &Arc<Register>, end: End) -> (Left, Model) {
    let checkpoints = open(objects, register).await;
    let (mut model, mut random) = (Model::default(), Random(21));
    for step in 1..=6 {
        model.change(&mut random);
        let extent = checkpoints.extent();
        model.write(&checkpoints, extent, step, &mut random).await.unwrap();
        model.committed();
    }
    assert!(checkpoints.merge().await.unwrap());
    assert!(checkpoints.has_merged());
    model.change(&mut random);
    let left = match end {
        End::Dropped | End::Fenced => {
            register.lose([Lost::Answer, Lost::Question, Lost::Question]);
            let write = model.write(&checkpoints, Extent::Changes, 7, &mut random).await;
            let undecided = write.unwrap_err();
            assert!(matches!(undecided, CheckpointError::Undecided { number: 7, .. }));
            Left::Undecided(checkpoints)
        }
        End::Stopped => {
            register.lose([Lost::Silence]);
            let (writer, held) = (checkpoints.clone(), model.clone());
            let asking = tokio::spawn(async move {
                drop(held.write(&writer, Extent::Changes, 7, &mut random).await);
            });
            while register.number() < 7 {
                tokio::task::yield_now().await;
            }
            Left::Asking(checkpoints, asking)
        }
    };
    model.committed();
    (left, model)
}

#[tokio::test]
async fn what_was_committed_unheard_stays_for_the_next_owner() {
    for end in [End::Dropped, End::Fenced, End::Stopped] {
        let (objects, register) = (Arc::new(InMemory::new()), Arc::new(Register::default()));
        let (left, model) = unheard(&objects, &register, end).await;

        let next = open(&objects, &register).await;
        let (checkpoint, (held, next_chunk)) = next.restore(load).await.unwrap().unwrap();
        assert_eq!((checkpoint.number, &held), (7, &model.held), "{end:?}");
        let (mut model, mut random) = (Model::new(held, next_chunk), Random(22));
        // So many that the one that was not heard of is not listed any more, and none merges.
        for step in 8..12 {
            model.change(&mut random);
            model.write(&next, Extent::Changes, step, &mut random).await.unwrap();
            model.committed();
        }

        match left {
            Left::Undecided(checkpoints) => {
                if matches!(end, End::Fenced) {
                    let fenced = checkpoints.resolve().await.unwrap_err();
                    assert!(matches!(fenced, CheckpointError::Fenced { now: 2, .. }), "{fenced}");
                    idle().await;
                    checkpoints.sweep().await.unwrap();
                }
                drop(checkpoints);
            }
            Left::Asking(checkpoints, asking) => {
                asking.abort();
                assert!(asking.await.unwrap_err().is_cancelled());
                idle().await;
                checkpoints.sweep().await.unwrap();
                drop(checkpoints);
            }
        }
        idle().await;
        let after = open(&objects, &register).await;
        let (checkpoint, (held, _)) = after.restore(load).await.unwrap().unwrap();
        assert_eq!((checkpoint.number, held), (11, model.held), "{end:?}");
    }
}

#[tokio::test]
async fn what_was_asked_for_and_never_committed_is_removed_by_the_next_owner() {
    let (objects, register) = (Arc::new(InMemory::new()), Arc::new(Register::default()));
    let checkpoints = open(&objects, &register).await;
    let (mut model, mut random) = (Model::default(), Random(23));
    model.change(&mut random);
    register.lose([Lost::Question; 3]);
    let write = model.write(&checkpoints, Extent::Whole, 1, &mut random).await;
    assert!(matches!(write.unwrap_err(), CheckpointError::Undecided { .. }));
    drop(checkpoints);
    idle().await;
    let next = open(&objects, &register).await;
    assert!(next.newest().await.unwrap().is_none());
    assert!(next.sweep().await.unwrap() > 0);
    assert_eq!(next.sweep().await.unwrap(), 0);
}
