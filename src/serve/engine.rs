//! The engine's thread: owns the partition, applies what the log has recorded, publishes the
//! deltas, and carries out orders that change which views there are. Between two inputs it gives
//! its state to the writer of checkpoints, bit by bit.

mod capture;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use futures::executor::block_on;
use projections::{Input, Partition, Tenant};
use stream::Hub;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use self::capture::Turn;
pub(crate) use self::capture::{Begun, Cuts, Requests};
use super::ServeError;
use super::slots::{Home, Slots};

/// How many rows one application takes together at most, as long as they are waiting.
const BATCH_ROWS: usize = 65_536;
/// After fewer rows than these the engine rests as long as it worked, so that more rows come together:
/// what a step costs is mostly by the tenants it touches. Above them there is a backlog to be taken.
const REST_BELOW: usize = 4_096;
/// The longest of these rests: what a change may come late by it.
const LONGEST_REST: Duration = Duration::from_millis(10);
/// Orders that wait for the engine.
const ORDERS: usize = 64;

/// The engine's thread has ended, so that nothing can be ordered any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the service is stopping, or the tenant is being handed over to another node")]
pub(crate) struct EngineEnded;

/// A change of the partition between two inputs.
type Order = Box<dyn FnOnce(&mut Partition, &Hub) + Send>;

/// The way by which others have the engines' threads change the partitions; cheap to clone.
#[derive(Clone)]
pub(crate) struct Orders {
    lanes: Slots<Lane>,
}

/// The way to one engine.
#[derive(Clone)]
struct Lane {
    queue: mpsc::Sender<Order>,
    is_busy: Arc<AtomicBool>,
}

impl Orders {
    /// The way to so many engines, of which none runs yet; `home` says in which a tenant lives.
    pub(crate) fn new(count: usize, home: Home) -> Self {
        Self { lanes: Slots::new(count, home) }
    }

    /// Opens the way to the engine of a partition, to be started with what this gives.
    pub(crate) fn open(&self, number: usize) -> Received {
        let (queue, orders) = mpsc::channel(ORDERS);
        let is_busy = Arc::<AtomicBool>::default();
        self.lanes.set(number, Some(Lane { queue, is_busy: Arc::clone(&is_busy) }));
        Received { orders, is_busy }
    }

    /// Closes the way to the engine of a partition.
    pub(crate) fn close(&self, number: usize) {
        self.lanes.set(number, None);
    }

    /// Has the engine run `order` before the next input, and tells the tenant's subscribers to look
    /// at their views again.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        tenant: Tenant,
        order: impl FnOnce(&mut Partition) -> T + Send + 'static,
    ) -> Result<T, EngineEnded> {
        let (reply, done) = oneshot::channel();
        let order: Order = Box::new(move |partition, hub| {
            let outcome = order(partition);
            hub.redefined(tenant);
            // Who has gone away in the meantime does not need an answer.
            drop(reply.send(outcome));
        });
        let lane = self.lanes.of(tenant).ok_or(EngineEnded)?;
        lane.queue.send(order).await.map_err(|_| EngineEnded)?;
        done.await.map_err(|_| EngineEnded)
    }

    /// In which partition the tenant lives.
    pub(crate) fn home(&self, tenant: Tenant) -> usize {
        self.lanes.home(tenant)
    }

    /// Whether an engine has inputs to apply at this moment.
    pub(crate) fn is_busy(&self) -> bool {
        self.lanes.any(|lane| lane.is_busy.load(Ordering::Relaxed))
    }
}

/// The engine's end of [`Orders`].
pub(crate) struct Received {
    orders: mpsc::Receiver<Order>,
    is_busy: Arc<AtomicBool>,
}

/// The engine's thread. It ends when the sender of its inputs is dropped, after the last of them.
pub(crate) struct Engine {
    thread: thread::JoinHandle<()>,
    ended: CancellationToken,
}

impl Engine {
    /// Starts the thread; the inputs up to the offset `applied` are in the partition already.
    pub(crate) fn start(
        partition: Partition,
        applied: u64,
        inputs: mpsc::Receiver<Input>,
        orders: Received,
        cuts: Requests,
        hub: Hub,
    ) -> Result<Self, ServeError> {
        let ended = CancellationToken::new();
        // Dropped at the end of the thread, by a panic too: that is how the end is seen.
        let end = ended.clone().drop_guard();
        let thread = thread::Builder::new()
            .name("engine".to_owned())
            .spawn(move || {
                let _end = end;
                run(partition, applied, inputs, orders, cuts, &hub);
            })
            .map_err(ServeError::Thread)?;
        Ok(Self { thread, ended })
    }

    /// Waits until the thread has ended.
    pub(super) async fn ended(&self) {
        self.ended.cancelled().await;
    }

    /// How the thread ended, after it has.
    pub(super) fn join(self) -> Result<(), ServeError> {
        self.thread.join().map_err(|_| ServeError::Ended("the engine"))
    }
}

/// What the engine does next.
enum Next {
    Order(Order),
    /// None once there will be no more.
    Input(Option<Input>),
    Cut(Turn),
}

/// Waits for what there is to be done. It is done behind this and not within it: a view that
/// recomputes its groups waits for DataFusion on this thread, and an executor runs no other one
/// within itself.
async fn next(
    inputs: &mut mpsc::Receiver<Input>,
    received: &mut Received,
    cuts: &mut Requests,
) -> Next {
    tokio::select! {
        biased;
        Some(order) = received.orders.recv() => Next::Order(order),
        input = inputs.recv() => Next::Input(input),
        turn = cuts.turn() => Next::Cut(turn),
    }
}

fn run(
    mut partition: Partition,
    mut applied: u64,
    mut inputs: mpsc::Receiver<Input>,
    mut received: Received,
    mut cuts: Requests,
    hub: &Hub,
) {
    cuts.applied(applied);
    loop {
        let first = match block_on(next(&mut inputs, &mut received, &mut cuts)) {
            Next::Order(order) => {
                order(&mut partition, hub);
                continue;
            }
            Next::Cut(turn) => {
                cuts.act(turn, &mut partition, applied);
                continue;
            }
            Next::Input(Some(first)) => first,
            Next::Input(None) => return,
        };
        received.is_busy.store(true, Ordering::Relaxed);
        let (input, rows) = coalesce(first, &mut inputs);
        applied = input.offset;
        let begun = Instant::now();
        let deltas = partition.apply(input);
        hub.publish(&deltas);
        metrics::histogram!("tidemark_apply_seconds").record(begun.elapsed());
        metrics::counter!("tidemark_applied_rows_total").increment(rows as u64);
        metrics::gauge!("tidemark_engine_waiting_inputs").set(inputs.len() as f64);
        cuts.applied(applied);
        cuts.between(&mut partition, applied);
        if rows < REST_BELOW {
            thread::sleep(begun.elapsed().min(LONGEST_REST));
        }
        received.is_busy.store(!inputs.is_empty(), Ordering::Relaxed);
    }
}

/// A lone input goes alone; of a backlog, as much as fills a batch. The offset is the last one's.
fn coalesce(first: Input, inputs: &mut mpsc::Receiver<Input>) -> (Input, usize) {
    let mut rows = size(&first);
    let mut input = first;
    while rows < BATCH_ROWS {
        // Empty and closed are the same here: there is nothing more to take now.
        let Ok(next) = inputs.try_recv() else { break };
        rows += size(&next);
        input.events.extend(next.events);
        input.ticks.extend(next.ticks);
        input.offset = next.offset;
    }
    (input, rows)
}

fn size(input: &Input) -> usize {
    input.events.iter().map(|batch| batch.rows.num_rows()).sum::<usize>() + input.ticks.len()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use chrono::NaiveDate;
    use projections::{EventTypes, Position, Tenant, Tick};
    use stream::StreamLimits;

    use super::*;
    use crate::serve::alone;

    fn tick(tenant: u32, offset: u64) -> Input {
        let tick = Tick { tenant: Tenant(tenant), today: NaiveDate::default() };
        Input { events: Vec::new(), ticks: vec![tick], offset }
    }

    #[test]
    fn a_backlog_is_one_input_up_to_its_last_offset() {
        let (sender, mut inputs) = mpsc::channel(4);
        for offset in 2..=4 {
            sender.try_send(tick(1, offset)).unwrap();
        }
        let (input, rows) = coalesce(tick(1, 1), &mut inputs);
        assert_eq!((input.ticks.len(), input.offset, rows), (4, 4, 4));
        let (alone, _) = coalesce(tick(1, 5), &mut inputs);
        assert_eq!(alone.ticks.len(), 1);
    }

    #[tokio::test]
    async fn it_applies_what_is_left_before_it_ends() {
        let partition = Partition::new(&EventTypes::builtin(), Vec::new()).unwrap();
        let readers = partition.readers();
        let hub = Hub::new(readers.clone(), StreamLimits::default());
        let (sender, inputs) = mpsc::channel(4);
        sender.try_send(tick(1, 1)).unwrap();
        sender.try_send(tick(2, 2)).unwrap();
        let received = Orders::new(1, alone()).open(0);
        let engine = Engine::start(partition, 0, inputs, received, Cuts::channel().1, hub).unwrap();
        drop(sender);
        engine.ended().await;
        engine.join().unwrap();
        assert_eq!(readers.snapshot(Tenant(2)).position(), Position::new(Tenant(2), 1));
    }

    #[tokio::test]
    async fn an_order_is_run_on_its_thread_and_refused_after_its_end() {
        let partition = Partition::new(&EventTypes::builtin(), Vec::new()).unwrap();
        let hub = Hub::new(partition.readers(), StreamLimits::default());
        let (sender, inputs) = mpsc::channel(4);
        let orders = Orders::new(1, alone());
        let received = orders.open(0);
        let engine = Engine::start(partition, 0, inputs, received, Cuts::channel().1, hub).unwrap();
        let name = orders.run(Tenant(1), |_| thread::current().name().map(str::to_owned)).await;
        assert_eq!(name.unwrap().as_deref(), Some("engine"));
        drop(sender);
        engine.ended().await;
        assert_eq!(orders.run(Tenant(1), |_| ()).await, Err(EngineEnded));
    }
}
