//! Producing to the broker: every message acknowledged by all (`acks=all`), each once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer};

use crate::Failure;

/// Moments in microseconds since a beginning, by number; 0 where there is none yet.
pub(crate) struct Moments {
    begin: Instant,
    at: Vec<AtomicU64>,
}

impl Moments {
    /// None of so many yet.
    pub(crate) fn new(begin: Instant, count: usize) -> Self {
        Self { begin, at: (0..count).map(|_| AtomicU64::new(0)).collect() }
    }

    /// Notes a moment, unless there is one already.
    pub(crate) fn note(&self, number: usize, moment: Instant) {
        let micros = moment.duration_since(self.begin).as_micros().max(1) as u64;
        if let Some(at) = self.at.get(number) {
            let _ = at.compare_exchange(0, micros, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// This moment.
    pub(crate) fn now(&self) -> u64 {
        self.begin.elapsed().as_micros() as u64
    }

    /// The moment of a number.
    pub(crate) fn get(&self, number: usize) -> Option<u64> {
        self.at.get(number).map(|at| at.load(Ordering::Relaxed)).filter(|at| *at > 0)
    }
}

/// What is noted of acknowledgements.
pub(crate) struct Acknowledged {
    failed: AtomicU64,
    marked: Moments,
}

impl ClientContext for Acknowledged {}

impl ProducerContext for Acknowledged {
    /// The number of a marked message, one more than it; 0 for all others.
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, mark: usize) {
        if result.is_err() {
            self.failed.fetch_add(1, Ordering::Relaxed);
        } else if mark > 0 {
            self.marked.note(mark - 1, Instant::now());
        }
    }
}

/// A producer to topics with one prefix.
#[derive(Clone)]
pub(crate) struct Producer {
    client: Arc<ThreadedProducer<Acknowledged>>,
    topics: Arc<Vec<String>>,
}

impl Producer {
    /// Connects; `marked` takes the moments at which marked messages are acknowledged.
    pub(crate) fn new(kafka: &str, topics: Vec<String>, marked: Moments) -> Result<Self, Failure> {
        let context = Acknowledged { failed: AtomicU64::new(0), marked };
        let client = ClientConfig::new()
            .set("bootstrap.servers", kafka)
            .set("partitioner", "murmur2_random")
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("linger.ms", "5")
            .set("compression.type", "lz4")
            .set("queue.buffering.max.messages", "200000")
            .create_with_context(context)?;
        Ok(Self { client: Arc::new(client), topics: Arc::new(topics) })
    }

    /// Sends a message to a topic by its place; waits while the queue is full.
    pub(crate) fn send(
        &self,
        topic: usize,
        key: &str,
        value: &[u8],
        mark: Option<usize>,
    ) -> Result<(), Failure> {
        let opaque = mark.map_or(0, |mark| mark + 1);
        let name = &self.topics[topic];
        let mut record = BaseRecord::with_opaque_to(name, opaque).key(key).payload(value);
        loop {
            match self.client.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), again)) => {
                    record = again;
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err((error, _)) => return Err(error.into()),
            }
        }
    }

    /// Waits until all is acknowledged.
    pub(crate) fn flush(&self) -> Result<(), Failure> {
        self.client.flush(Duration::from_mins(2))?;
        match self.client.context().failed.load(Ordering::Relaxed) {
            0 => Ok(()),
            failed => Err(format!("{failed} messages were not acknowledged").into()),
        }
    }

    /// When marked messages were acknowledged.
    pub(crate) fn acknowledged(&self) -> &Moments {
        &self.client.context().marked
    }
}
