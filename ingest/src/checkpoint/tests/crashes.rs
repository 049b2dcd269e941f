//! Whatever fails, and whenever: what is restored is a committed cut, exactly, and no earlier one than
//! was acknowledged, unless files were damaged.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use proptest::prelude::*;

use super::super::{CheckpointError, Checkpoints, Extent, Options};
use super::faults::{Fault, Faulty};
use super::model::{Held, Model, Random, load};
use super::register::{Lost, Register};

/// Small, so that a few entries make several files, and nothing orphaned stays.
pub(crate) const SMALL: Options =
    Options { keep: 3, grace: Duration::ZERO, file_bytes: 1500, block_bytes: 200, runs: 4 };

/// A partition over restarts.
struct World {
    objects: Arc<dyn ObjectStore>,
    register: Arc<Register>,
    random: Random,
    /// What each attempt of a checkpoint held, by its step.
    cuts: HashMap<u64, Held>,
    step: u64,
    /// The step of the last that was acknowledged.
    acknowledged: u64,
    damaged: bool,
}

impl World {
    fn new(objects: Arc<dyn ObjectStore>, seed: u64) -> Self {
        Self {
            objects,
            register: Arc::default(),
            random: Random(seed),
            cuts: HashMap::new(),
            step: 0,
            acknowledged: 0,
            damaged: false,
        }
    }

    /// One life of a process: restores, compares, and goes on for some rounds or until it dies.
    /// Answers how many operations on the object store it has done.
    async fn live(&mut self, rounds: usize, faults: &[(usize, Fault)]) -> usize {
        let faulty = Faulty::new(self.objects.clone(), faults.iter().copied());
        let lived = self.rounds(rounds, &faulty).await;
        self.damaged |= faulty.has_damaged();
        if let Err(error) = lived {
            let excused = faulty.is_dead() || !faults.is_empty();
            assert!(excused, "nothing was to fail: {error}");
        }
        faulty.operations()
    }

    async fn rounds(&mut self, rounds: usize, faulty: &Arc<Faulty>) -> Result<(), CheckpointError> {
        let (objects, register) = (faulty.clone(), self.register.clone());
        let checkpoints = Checkpoints::open(objects, register, 3, "here", SMALL).await?;
        let mut model = match checkpoints.restore(load).await {
            Ok(Some((checkpoint, (held, next_chunk)))) => {
                assert_eq!(held, self.cuts[&checkpoint.step]);
                let clock = checkpoint.sections["clock"].0.clone();
                assert_eq!(clock, checkpoint.step.to_string());
                if !self.damaged {
                    assert!(checkpoint.step >= self.acknowledged, "an acknowledged one is lost");
                }
                Model::new(held, next_chunk)
            }
            Ok(None) => {
                assert_eq!(self.acknowledged, 0);
                Model::default()
            }
            Err(CheckpointError::NothingWhole { .. }) if self.damaged => Model::default(),
            Err(error) => return Err(error),
        };
        checkpoints.sweep().await?;
        for _ in 0..rounds {
            model.change(&mut self.random);
            self.step += 1;
            self.cuts.insert(self.step, model.held.clone());
            let whole = self.random.below(8) == 0;
            let extent = if whole { Extent::Whole } else { checkpoints.extent() };
            match model.write(&checkpoints, extent, self.step, &mut self.random).await {
                Ok(committed) => {
                    assert_eq!(committed.checkpoint.step, self.step);
                    self.acknowledged = self.step;
                    model.committed();
                }
                Err(error) if faulty.is_dead() => return Err(error),
                // It is left, and what it held comes with the next.
                Err(CheckpointError::Objects { .. }) => {}
                Err(error) => return Err(error),
            }
            while self.random.below(3) > 0 && checkpoints.merge().await.unwrap_or(false) {}
            if self.random.below(4) == 0 {
                // Failing, it has removed less.
                drop(checkpoints.sweep().await);
            }
        }
        Ok(())
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

#[test]
fn a_crash_at_any_operation_loses_nothing_that_was_acknowledged() {
    runtime().block_on(async {
        for seed in 0..2 {
            let mut calm = World::new(Arc::new(InMemory::new()), seed);
            let operations = calm.live(9, &[]).await;
            assert!(operations > 60, "{operations}");
            assert_eq!(calm.acknowledged, 9);
            let points = (0..operations)
                .flat_map(|at| [Fault::Crash, Fault::CrashAfter].map(|fault| (at, fault)));
            let worlds = points.map(|point| {
                tokio::spawn(async move {
                    let mut world = World::new(Arc::new(InMemory::new()), seed);
                    world.live(9, &[point]).await;
                    world.live(3, &[]).await;
                    world.live(0, &[]).await;
                })
            });
            for world in worlds.collect::<Vec<_>>() {
                world.await.unwrap();
            }
        }
    });
}

#[test]
fn in_a_folder_too() {
    runtime().block_on(async {
        for seed in 10..16 {
            let folder = tempfile::tempdir().unwrap();
            let objects = Arc::new(LocalFileSystem::new_with_prefix(folder.path()).unwrap());
            let mut world = World::new(objects, seed);
            for life in 0..4 {
                world.live(4, &[(11 + 17 * life, Fault::Crash)]).await;
            }
            world.live(3, &[]).await;
            world.live(0, &[]).await;
        }
    });
}

#[test]
fn whatever_was_left_is_removed() {
    runtime().block_on(async {
        let objects = Arc::new(InMemory::new());
        let mut world = World::new(objects.clone(), 5);
        for life in 0..12 {
            world.live(5, &[(7 + 9 * life, Fault::Crash)]).await;
        }
        world.live(6, &[]).await;
        let register = world.register.clone();
        let checkpoints =
            Checkpoints::open(objects.clone(), register, 3, "here", SMALL).await.unwrap();
        checkpoints.sweep().await.unwrap();
        let named: Vec<String> = {
            let standing = checkpoints.inner.standing();
            standing.named().into_iter().map(str::to_owned).collect()
        };
        let found: Vec<_> = futures::StreamExt::collect(objects.list(None)).await;
        assert_eq!(found.len(), named.len());
        assert!(found.into_iter().all(|file| named.contains(&file.unwrap().location.to_string())));
    });
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        4 => Just(Fault::Fail),
        4 => Just(Fault::Crash),
        2 => Just(Fault::CrashAfter),
        2 => Just(Fault::Truncate),
        2 => Just(Fault::Flip),
        1 => Just(Fault::Delay),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn any_faults_in_any_lives(
        seed: u64,
        lives in prop::collection::vec(
            (1..8_usize, prop::collection::btree_map(0..160_usize, fault(), 0..3), 0..8_u8),
            1..8,
        ),
    ) {
        runtime().block_on(async {
            let mut world = World::new(Arc::new(InMemory::new()), seed);
            for (rounds, faults, lost) in lives {
                let faults: BTreeMap<usize, Fault> = faults;
                world.register.lose(match lost {
                    0 => vec![Lost::Question],
                    1 => vec![Lost::Answer],
                    _ => Vec::new(),
                });
                world.live(rounds, &faults.into_iter().collect::<Vec<_>>()).await;
            }
            world.live(1, &[]).await;
        });
    }
}
