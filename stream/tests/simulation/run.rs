//! One simulation from its beginning to its end.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use projections::TenantDelta;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, yield_now};
use tokio::time::{sleep, timeout};

use crate::case::{Case, Change, Op, TEAMS};
use crate::cluster::{Cluster, TENANT};
use crate::support::World;
use crate::support::client::Reference;
use crate::viewer::{Act, Stage, Tally, Viewer, lock};

/// Simulated time in which a viewer must come to hold what there is: many heartbeats.
const PATIENCE: Duration = Duration::from_mins(10);

/// Goes through a case with time of its own; what was heard.
pub(crate) fn simulate(case: &Case) -> Tally {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut run = Run::new(case);
        for op in &case.ops {
            run.perform(op).await;
        }
        run.settle().await
    })
}

struct Run {
    stage: Stage,
    unpublished: Vec<TenantDelta>,
    seats: Vec<Seat>,
}

/// A viewer at work.
struct Seat {
    acts: mpsc::UnboundedSender<Act>,
    following: JoinHandle<()>,
}

impl Run {
    fn new(case: &Case) -> Self {
        let world = World::shared();
        // Not at the beginning: a node that does not serve the tenant must not pass for one that
        // knows it.
        world.0.apply(TENANT, 5, &[(0, "first", Some((Some(TEAMS[0]), 10_000)))]);
        let reference =
            Reference::from([(world.0.position(TENANT).sequence, world.0.rows(TENANT))]);
        let cluster = Cluster::new(world.clone(), case.limits.clone());
        let stage = Stage {
            world,
            cluster: Arc::new(Mutex::new(cluster)),
            reference: Arc::new(Mutex::new(reference)),
            tally: Arc::default(),
        };
        let seat = |plan| {
            let (acts, told) = mpsc::unbounded_channel();
            let viewer = Viewer::new(stage.clone(), plan, told);
            Seat { acts, following: tokio::spawn(viewer.run()) }
        };
        let seats = case.viewers.iter().map(seat).collect();
        Self { stage, unpublished: Vec::new(), seats }
    }

    async fn perform(&mut self, op: &Op) {
        match op {
            Op::Apply { edits, is_published } => self.apply(edits, *is_published),
            Op::Act { viewer, act } => {
                if let Some(seat) = self.seats.get(*viewer) {
                    // One that has failed is found at the end.
                    seat.acts.send(act.clone()).ok();
                }
            }
            Op::Turns(turns) => {
                for _ in 0..*turns {
                    yield_now().await;
                }
            }
            Op::Pass(time) => sleep(*time).await,
            Op::Restart { is_orderly, away } => {
                let place = lock(&self.stage.cluster).owner();
                lock(&self.stage.cluster).stop(*is_orderly);
                // What was applied is on disk; whoever was to hear of it is gone.
                self.unpublished.clear();
                sleep(*away).await;
                lock(&self.stage.cluster).start(place);
            }
            Op::Move { away } => {
                let place = 1 - lock(&self.stage.cluster).owner();
                lock(&self.stage.cluster).give_up();
                self.unpublished.clear();
                sleep(*away).await;
                lock(&self.stage.cluster).take_over(place);
            }
            Op::Dismiss => lock(&self.stage.cluster).dismiss(),
        }
    }

    fn apply(&mut self, edits: &[Change], is_published: bool) {
        let names: Vec<String> = edits.iter().map(|(_, item, _)| format!("item {item}")).collect();
        let edits: Vec<_> = edits
            .iter()
            .zip(&names)
            .map(|((view, _, row), name)| {
                let row = row.map(|(team, amount)| (Some(TEAMS[team]), i128::from(amount)));
                (*view, name.as_str(), row)
            })
            .collect();
        let world = &self.stage.world.0;
        let delta = world.apply(TENANT, edits.len() as u64 + 1, &edits);
        let at = delta.snapshot.position().sequence;
        lock(&self.stage.reference).insert(at, world.rows(TENANT));
        self.unpublished.push(delta);
        if is_published {
            self.publish();
        }
    }

    fn publish(&mut self) {
        let deltas = std::mem::take(&mut self.unpublished);
        lock(&self.stage.cluster).publish(&deltas);
    }

    /// Lets everybody come to hold what there is.
    async fn settle(mut self) -> Tally {
        self.publish();
        for seat in &self.seats {
            seat.acts.send(Act::Settle).ok();
        }
        for seat in self.seats {
            match timeout(PATIENCE, seat.following).await {
                Ok(Ok(())) => {}
                Ok(Err(failure)) => std::panic::resume_unwind(failure.into_panic()),
                Err(late) => panic!("a viewer does not come to hold what there is: {late}"),
            }
        }
        lock(&self.stage.tally).clone()
    }
}
