//! Events given to Kafka: what `POST /v1/events` does when Kafka is the source.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use arrow::array::AsArray;
use chrono::{DateTime, Utc};
use futures::future::join_all;
use projections::{EventTypes, Position, Tenant, Tick};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::future_producer::Delivery;
use rdkafka::producer::{DeliveryFuture, FutureProducer, FutureRecord, Producer};
use tokio::sync::{Mutex, Semaphore};

use super::error::SourceError;
use super::murmur2::partition_of;
use super::partition::{KafkaPartition, SourceParts};
use super::ticket::Ticket;
use super::topics::{Quiet, Topics};
use crate::decode::decode_texts;
use crate::intake::ledger::Marks;
use crate::{BodyError, Format, IntakeError, Limits, Rejected, Sender};

/// KiB of events that are under way to Kafka.
const UNDER_WAY_KIB: usize = 64 << 10;
/// How long a full queue of the client is left alone before it is tried again.
const FULL: Duration = Duration::from_millis(5);
/// How long a topic that could not be made is left alone.
const MAKE_AGAIN: Duration = Duration::from_secs(10);
/// How long the client has to give its last messages away at the end.
const FLUSH: Duration = Duration::from_secs(2);

/// Events of a body, checked and ready for Kafka.
#[derive(Debug)]
pub struct Outgoing {
    tenant: Tenant,
    events: Vec<Event>,
    /// Events that were not taken.
    pub rejected: Vec<Rejected>,
}

/// An event as it was sent: a CloudEvent in JSON.
#[derive(Debug)]
struct Event {
    kind: String,
    id: String,
    text: String,
}

/// What became of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// Events that Kafka has acknowledged.
    pub accepted: usize,
    /// Events whose id had come already, by then or earlier in the same body.
    pub duplicates: usize,
    /// Events that were not taken.
    pub rejected: Vec<Rejected>,
    /// A text that `wait_for` understands: a position, or a ticket for one.
    pub position: String,
}

/// The way to Kafka, and to the intakes of the partitions; cheap to clone.
#[derive(Clone)]
pub struct KafkaIntake {
    inner: Arc<Inner>,
}

struct Inner {
    producer: FutureProducer<Quiet>,
    topics: Topics,
    parts: SourceParts,
    /// Topics that are known to be there.
    there: RwLock<BTreeSet<String>>,
    /// Topics that could not be made, and when that was tried. Who tries has it to himself.
    unmade: Mutex<BTreeMap<String, Instant>>,
    /// For each partition number its intake, if it is read here.
    partitions: RwLock<Vec<Option<KafkaPartition>>>,
    under_way: Semaphore,
}

impl Outgoing {
    /// Decodes a body as [`crate::decode()`] does, and keeps the texts of the events.
    ///
    /// # Errors
    /// The body is too large or not of its format.
    pub fn decode(
        types: &EventTypes,
        limits: &Limits,
        sender: &Sender,
        format: Format,
        body: &[u8],
        now: DateTime<Utc>,
    ) -> Result<Self, BodyError> {
        let (decoded, texts) = decode_texts(types, limits, sender, format, body, now)?;
        let mut events = Vec::new();
        for (batch, texts) in decoded.batches.iter().zip(texts) {
            let ids = batch.rows.column(0).as_string::<i32>();
            let named = ids.iter().flatten().zip(texts);
            events.extend(named.map(|(id, text)| Event {
                kind: batch.event_type.name().to_owned(),
                id: id.to_owned(),
                text: text.to_owned(),
            }));
        }
        Ok(Self { tenant: decoded.tenant, events, rejected: decoded.rejected })
    }

    /// How many events the body has.
    pub fn events(&self) -> usize {
        self.events.len() + self.rejected.len()
    }
}

impl KafkaIntake {
    /// The way to Kafka with so many partition numbers, of which none is read yet.
    ///
    /// # Errors
    /// The client cannot be set up.
    pub fn new(parts: SourceParts, count: i32) -> Result<Self, SourceError> {
        let producer = parts
            .settings
            .producer(parts.limits.max_event)
            .create_with_context(Quiet)
            .map_err(|error| SourceError::Setup(error.to_string()))?;
        let inner = Inner {
            producer,
            topics: Topics::new(&parts.settings)?,
            parts,
            there: RwLock::default(),
            unmade: Mutex::default(),
            partitions: RwLock::new((0..count).map(|_| None).collect()),
            under_way: Semaphore::new(UNDER_WAY_KIB),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// A partition number is read here from now on; what is posted for its tenants goes to it.
    pub fn put(&self, partition: KafkaPartition) {
        let mut partitions = self.inner.partitions.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = partitions.get_mut(partition.number() as usize) {
            *place = Some(partition);
        }
    }

    /// A partition number is not read here any more.
    pub fn take(&self, number: i32) {
        let mut partitions = self.inner.partitions.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = partitions.get_mut(number as usize) {
            *place = None;
        }
    }

    /// Gives events to Kafka; returns when it has acknowledged all of them.
    ///
    /// # Errors
    /// A type has no topic, or some were not acknowledged. They can be sent again: those that came have no effect then.
    pub async fn submit(
        &self,
        sender: &Sender,
        outgoing: Outgoing,
    ) -> Result<Delivered, IntakeError> {
        if outgoing.tenant != sender.tenant {
            return Err(IntakeError::OtherSender);
        }
        let inner = &*self.inner;
        let bytes: usize = outgoing.events.iter().map(|event| event.text.len()).sum();
        let share = (bytes / 1024).clamp(1, UNDER_WAY_KIB) as u32;
        let _permit = inner.under_way.acquire_many(share).await.map_err(|_| IntakeError::Closed)?;
        let partition = self.partition(&sender.tenant_id)?;
        let (tenant, mut seen) = (sender.tenant, HashSet::new());
        let (mut sent, mut duplicates) = (Vec::new(), 0);
        let mut last: BTreeMap<String, u128> = BTreeMap::new();
        for event in outgoing.events {
            let hash = partition.hash(tenant, &event.kind, &event.id);
            if !seen.insert(hash) || partition.has(&[hash]) {
                duplicates += 1;
                continue;
            }
            let topic = self.topic(&event.kind).await?;
            let record = FutureRecord::to(&topic)
                .partition(partition.number())
                .key(sender.tenant_id.as_str())
                .payload(event.text.as_str())
                .headers(content_type());
            sent.push(self.send(record).await?);
            last.insert(event.kind, hash);
        }
        let accepted = sent.len();
        for delivery in sent {
            acknowledged(delivery).await?;
        }
        let position = if last.is_empty() {
            Position::new(tenant, partition.marks(tenant).sequence).to_string()
        } else {
            Ticket::new(tenant, last.into_values().collect()).to_string()
        };
        Ok(Delivered { accepted, duplicates, rejected: outgoing.rejected, position })
    }

    /// Gives a message to Kafka as it came, but into the partition of its key; with the header that it
    /// is a CloudEvent in JSON if it came with that.
    ///
    /// # Errors
    /// It was not acknowledged.
    pub(super) async fn resend(
        &self,
        topic: &str,
        key: &[u8],
        value: &[u8],
        is_json: bool,
    ) -> Result<(), IntakeError> {
        let home = partition_of(key, self.count());
        let mut record = FutureRecord::to(topic).partition(home).key(key).payload(value);
        record.headers = is_json.then(content_type);
        acknowledged(self.send(record).await?).await
    }

    /// The position that a ticket stands for, once the events that it names have been taken.
    ///
    /// # Errors
    /// The partition is read no more.
    pub async fn redeem(&self, ticket: &Ticket, tenant_id: &str) -> Result<Position, IntakeError> {
        let partition = self.partition(tenant_id)?;
        let mut steps = partition.steps();
        loop {
            // Seen before it is looked, so that no step between is missed.
            steps.borrow_and_update();
            if partition.has(ticket.hashes()) {
                let sequence = partition.marks(ticket.tenant()).sequence;
                return Ok(Position::new(ticket.tenant(), sequence));
            }
            tokio::select! {
                changed = steps.changed() => changed.map_err(|_| IntakeError::Closed)?,
                _ = partition.ended() => return Err(IntakeError::Closed),
            }
        }
    }

    /// Records the dates that differ from the tenants' last ones; `id` gives a tenant's id. Partitions
    /// are told side by side, so that one that waits for room keeps back no date of the others.
    ///
    /// # Errors
    /// A partition is read no more; the others have recorded theirs.
    pub async fn tick(
        &self,
        ticks: Vec<Tick>,
        id: impl Fn(Tenant) -> Option<String>,
    ) -> Result<(), IntakeError> {
        let mut by_partition: BTreeMap<i32, (KafkaPartition, Vec<Tick>)> = BTreeMap::new();
        for tick in ticks {
            let Some(id) = id(tick.tenant) else { continue };
            let partition = self.partition(&id)?;
            let of = by_partition.entry(partition.number());
            of.or_insert_with(|| (partition, Vec::new())).1.push(tick);
        }
        let told = by_partition.into_values().map(async |(of, ticks)| of.tick(ticks).await);
        join_all(told).await.into_iter().collect()
    }

    /// Takes nothing of a deleted tenant any more; answers the step beyond which there is nothing.
    ///
    /// # Errors
    /// Its partition is not read here.
    pub async fn forget(&self, tenant: Tenant, tenant_id: &str) -> Result<u64, IntakeError> {
        self.partition(tenant_id)?.forget(tenant).await
    }

    /// How far a tenant has come: its events and ticks, its date, its newest event's microseconds.
    pub(crate) fn marks(&self, tenant: Tenant, tenant_id: &str) -> Marks {
        self.partition(tenant_id).map(|of| of.marks(tenant)).unwrap_or_default()
    }

    /// Whether the partition of a tenant is read.
    pub fn is_read(&self, tenant_id: &str) -> bool {
        self.partition(tenant_id).is_ok_and(|partition| !partition.has_ended())
    }

    /// How many events and ticks of the tenant have been taken.
    pub fn sequence(&self, tenant: Tenant, tenant_id: &str) -> u64 {
        self.marks(tenant, tenant_id).sequence
    }

    /// The tenant's last recorded date.
    pub fn last_date(&self, tenant: Tenant, tenant_id: &str) -> Option<chrono::NaiveDate> {
        self.marks(tenant, tenant_id).date
    }

    /// The newest event time of the tenant.
    pub fn newest_event(&self, tenant: Tenant, tenant_id: &str) -> Option<DateTime<Utc>> {
        self.marks(tenant, tenant_id).newest.and_then(DateTime::from_timestamp_micros)
    }

    /// What the source was set up with.
    pub(super) fn parts(&self) -> &SourceParts {
        &self.inner.parts
    }

    /// How many partition numbers there are.
    pub(super) fn count(&self) -> i32 {
        self.inner.partitions.read().unwrap_or_else(PoisonError::into_inner).len() as i32
    }

    /// Those that are read here.
    pub(super) fn read_here(&self) -> Vec<KafkaPartition> {
        let partitions = self.inner.partitions.read().unwrap_or_else(PoisonError::into_inner);
        partitions.iter().flatten().cloned().collect()
    }

    /// Has nothing read here any more.
    pub fn stop(&self) {
        for partition in self.read_here() {
            partition.close();
        }
    }

    /// Takes nothing more, and gives away what is under way to Kafka.
    pub async fn close(&self) {
        self.inner.under_way.close();
        let producer = self.inner.producer.clone();
        let flushed = tokio::task::spawn_blocking(move || producer.flush(FLUSH)).await;
        if let Ok(Err(error)) = flushed {
            tracing::warn!(%error, "some events were not acknowledged by Kafka");
        }
    }

    fn partition(&self, tenant_id: &str) -> Result<KafkaPartition, IntakeError> {
        let partitions = self.inner.partitions.read().unwrap_or_else(PoisonError::into_inner);
        let number = partition_of(tenant_id.as_bytes(), partitions.len() as i32);
        partitions.get(number as usize).cloned().flatten().ok_or(IntakeError::Elsewhere)
    }

    /// The topic of a type, made if it is missing, and then read.
    ///
    /// # Errors
    /// There is none, and it cannot be made; or Kafka cannot be asked.
    async fn topic(&self, event_type: &str) -> Result<String, IntakeError> {
        let inner = &*self.inner;
        let topic = format!("{}{event_type}", inner.parts.settings.topic_prefix);
        if self.is_there(&topic) {
            return Ok(topic);
        }
        // However many post to it, one asks Kafka.
        let mut unmade = inner.unmade.lock().await;
        if self.is_there(&topic) {
            return Ok(topic);
        }
        unmade.retain(|_, tried| tried.elapsed() < MAKE_AGAIN);
        if unmade.contains_key(&topic) {
            return Err(IntakeError::NoTopic(event_type.to_owned()));
        }
        let there = inner.topics.ensure(&[event_type.to_owned()], self.count()).await?;
        if !there.contains(&topic) {
            unmade.insert(topic, Instant::now());
            return Err(IntakeError::NoTopic(event_type.to_owned()));
        }
        for partition in self.read_here() {
            // One that has stopped needs none.
            partition.read(vec![topic.clone()]).await.ok();
        }
        inner.there.write().unwrap_or_else(PoisonError::into_inner).insert(topic.clone());
        Ok(topic)
    }

    /// These are all topics that there are: one that was removed is made when its type is posted next.
    pub(super) fn listed(&self, topics: &BTreeMap<String, i32>) {
        let mut there = self.inner.there.write().unwrap_or_else(PoisonError::into_inner);
        there.retain(|topic| topics.contains_key(topic));
    }

    fn is_there(&self, topic: &str) -> bool {
        self.inner.there.read().unwrap_or_else(PoisonError::into_inner).contains(topic)
    }

    async fn send<K, P>(
        &self,
        mut record: FutureRecord<'_, K, P>,
    ) -> Result<DeliveryFuture, IntakeError>
    where
        K: rdkafka::message::ToBytes + ?Sized,
        P: rdkafka::message::ToBytes + ?Sized,
    {
        loop {
            match self.inner.producer.send_result(record) {
                Ok(delivery) => return Ok(delivery),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), same)) => {
                    record = same;
                    tokio::time::sleep(FULL).await;
                }
                Err((error, _)) => return Err(undelivered(&error)),
            }
        }
    }
}

fn content_type() -> OwnedHeaders {
    OwnedHeaders::new()
        .insert(Header { key: "content-type", value: Some("application/cloudevents+json") })
}

async fn acknowledged(delivery: DeliveryFuture) -> Result<(), IntakeError> {
    match delivery.await {
        Ok(Ok(Delivery { .. })) => Ok(()),
        Ok(Err((error, _))) => Err(undelivered(&error)),
        Err(_) => Err(IntakeError::Closed),
    }
}

fn undelivered(error: &KafkaError) -> IntakeError {
    IntakeError::Undelivered(error.to_string())
}
