//! What the tests have in common: the services, topics of their own, and a partition that is read.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::pin::Pin;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use arrow::array::{Array, AsArray};
use projections::{EventTypes, Input, Tenant};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::history::Tail;
use crate::kafka::{
    Begin, KafkaPartition, KafkaSettings, KnownTenants, Outlet, SourceError, SourceParts,
    partition_of,
};
use crate::{DeadLetter, DeadLetterError, DeadLetters, Limits, SchemaRegistry, Sender};

pub(super) const PAYMENT: &str = "invoicing.payment_received";

/// The addresses of broker and registry.
pub(super) struct Services {
    pub(super) kafka: String,
    pub(super) registry: String,
}

pub(super) fn services() -> &'static Services {
    static SERVICES: OnceLock<Services> = OnceLock::new();
    SERVICES.get_or_init(|| {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/services");
        let output = Command::new(script).arg("start").output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "scripts/services start: {said}");
        let text = String::from_utf8(output.stdout).unwrap();
        let lines: HashMap<&str, &str> = text.lines().filter_map(|l| l.split_once(' ')).collect();
        Services { kafka: lines["kafka"].to_owned(), registry: lines["registry"].to_owned() }
    })
}

/// Dead letters in memory, up to a limit.
#[derive(Default)]
pub(super) struct Kept {
    pub(super) letters: Mutex<BTreeMap<(String, i32, i64), DeadLetter>>,
    pub(super) limit: Option<usize>,
}

impl DeadLetters for Kept {
    fn store(
        &self,
        letters: Vec<DeadLetter>,
    ) -> Pin<Box<dyn Future<Output = Result<(), DeadLetterError>> + Send + '_>> {
        Box::pin(async move {
            let mut kept = self.letters.lock().unwrap();
            for (stored, letter) in letters.into_iter().enumerate() {
                if let Some(limit) = self.limit.filter(|limit| kept.len() >= *limit) {
                    return Err(DeadLetterError::Full { limit, stored });
                }
                let place = (letter.topic.clone(), letter.partition, letter.offset);
                kept.entry(place).or_insert(letter);
            }
            Ok(())
        })
    }
}

/// The tenants `t0` to `t99`, with their numbers; there was one more.
pub(super) struct Hundred;

impl KnownTenants for Hundred {
    fn find(&self, id: &str) -> Option<Sender> {
        let number: u32 = id.strip_prefix('t')?.parse().ok().filter(|number| *number < 100)?;
        Some(Sender {
            tenant: Tenant(number),
            tenant_id: id.to_owned(),
            currency: "EUR".to_owned(),
            events_clock: None,
        })
    }

    fn look(&self) -> Result<(), String> {
        Ok(())
    }

    fn is_deleted(&self, id: &str) -> bool {
        id == "deleted"
    }
}

/// Topics of a test's own.
pub(super) struct Bench {
    pub(super) parts: SourceParts,
    pub(super) letters: Arc<Kept>,
    producer: FutureProducer,
    pub(super) admin: AdminClient<DefaultClientContext>,
    pub(super) partitions: i32,
}

/// A partition that is read.
pub(super) struct Reading {
    pub(super) partition: KafkaPartition,
    pub(super) inputs: mpsc::Receiver<Input>,
    /// The ids of all events that have come, with their tenants.
    pub(super) ids: Vec<(u32, String)>,
    pub(super) steps: Vec<u64>,
}

impl Bench {
    /// Topics for these types, with so many partitions.
    pub(super) async fn new(types: &[&str], partitions: i32) -> Self {
        Self::limited(types, partitions, None).await
    }

    pub(super) async fn limited(types: &[&str], partitions: i32, limit: Option<usize>) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let started = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let services = services();
        let mut settings = KafkaSettings::plain(&services.kafka);
        settings.topic_prefix = format!("t{started}-{number}.");
        settings.group = settings.topic_prefix.clone();
        let letters = Arc::new(Kept { limit, ..Kept::default() });
        let parts = SourceParts {
            settings,
            types: EventTypes::builtin().into(),
            limits: Limits::default(),
            tenants: Arc::new(Hundred),
            registry: Some(SchemaRegistry::new(&services.registry).unwrap()),
            letters: Arc::<Kept>::clone(&letters),
            id_key: [7; 16],
        };
        let bench = Self {
            parts,
            letters,
            producer: config().create().unwrap(),
            admin: config().create().unwrap(),
            partitions,
        };
        for name in types {
            bench.make(&bench.topic(name), partitions).await;
        }
        bench
    }

    pub(super) fn topic(&self, name: &str) -> String {
        format!("{}{name}", self.parts.settings.topic_prefix)
    }

    pub(super) async fn make(&self, topic: &str, partitions: i32) {
        let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
        let made = self.admin.create_topics([&new], &AdminOptions::new()).await.unwrap();
        assert!(made.iter().all(Result::is_ok), "{made:?}");
        // Metadata spreads a moment later.
        for _ in 0..200 {
            let seen = self.producer_metadata(topic);
            if seen == partitions as usize {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the topic {topic} does not come about");
    }

    fn producer_metadata(&self, topic: &str) -> usize {
        let metadata = self.admin.inner().fetch_metadata(Some(topic), Duration::from_secs(5));
        metadata.unwrap().topics().first().map_or(0, |topic| topic.partitions().len())
    }

    pub(super) async fn remove(&self, topic: &str) {
        let gone = self.admin.delete_topics(&[topic], &AdminOptions::new()).await.unwrap();
        assert!(gone.iter().all(Result::is_ok), "{gone:?}");
        for _ in 0..200 {
            if self.producer_metadata(topic) == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the topic {topic} does not go away");
    }

    /// Sends a message into the partition of its key, or into `partition`.
    pub(super) async fn send(&self, topic: &str, key: Option<&str>, value: Option<&[u8]>) -> i64 {
        let partition = key.map_or(0, |key| partition_of(key.as_bytes(), self.partitions));
        self.send_to(topic, partition, key, value, None).await
    }

    pub(super) async fn send_to(
        &self,
        topic: &str,
        partition: i32,
        key: Option<&str>,
        value: Option<&[u8]>,
        content_type: Option<&str>,
    ) -> i64 {
        let mut record = FutureRecord::<str, [u8]>::to(topic).partition(partition);
        record.key = key;
        record.payload = value;
        record.headers = content_type.map(|content_type| {
            let value = Some(content_type);
            OwnedHeaders::new().insert(Header { key: "content-type", value })
        });
        self.producer.send(record, Duration::from_secs(10)).await.unwrap().offset
    }

    /// Registers a schema; answers its id.
    pub(super) async fn register(&self, schema: &str) -> u32 {
        let subject = self.topic("value");
        let url = format!(
            "{}/subjects/{subject}-{}/versions",
            services().registry,
            crc32fast::hash(schema.as_bytes())
        );
        let answer = reqwest::Client::new()
            .post(url)
            .header("content-type", "application/vnd.schemaregistry.v1+json")
            .body(json!({"schema": schema}).to_string())
            .send()
            .await
            .unwrap();
        let text = answer.text().await.unwrap();
        let id = serde_json::from_str::<serde_json::Value>(&text).unwrap()["id"].as_u64();
        u32::try_from(id.expect(&text)).unwrap()
    }

    /// Reads a partition from where `begin` says.
    pub(super) fn try_read(
        &self,
        number: i32,
        types: &[&str],
        begin: Begin,
    ) -> Result<Reading, SourceError> {
        let (forward, inputs) = mpsc::channel(64);
        let parts = self.parts.clone();
        let topics: Vec<String> = types.iter().map(|name| self.topic(name)).collect();
        let place = (number, self.partitions);
        let runtime = tokio::runtime::Handle::current();
        let outlet = Outlet { forward, tail: Tail::new(1 << 30) };
        let partition = KafkaPartition::start(&parts, place, topics, begin, outlet, runtime)?;
        Ok(Reading { partition, inputs, ids: Vec::new(), steps: Vec::new() })
    }

    pub(super) fn read(&self, number: i32, types: &[&str]) -> Reading {
        self.try_read(number, types, Begin::default()).unwrap()
    }

    /// The dead letters, by offset of the topic.
    pub(super) fn reasons(&self, topic: &str) -> BTreeMap<i64, (Option<Tenant>, String)> {
        let letters = self.letters.letters.lock().unwrap();
        let of_topic = letters.values().filter(|letter| letter.topic == topic);
        of_topic.map(|l| (l.offset, (l.tenant, l.reason.clone()))).collect()
    }

    /// Waits until there are so many dead letters.
    pub(super) async fn letters(&self, count: usize) {
        for _ in 0..1000 {
            if self.letters.letters.lock().unwrap().len() >= count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("there are {:?}", self.letters.letters.lock().unwrap());
    }
}

impl Reading {
    /// Waits until so many events have come in all.
    pub(super) async fn until(&mut self, count: usize) {
        while self.ids.len() < count {
            let next = timeout(Duration::from_secs(30), self.inputs.recv()).await;
            let input = next.unwrap_or_else(|_| panic!("only {} have come", self.ids.len()));
            self.note(&input.expect("the partition has ended"));
        }
    }

    /// Waits until all has been read that was there at the start.
    pub(super) async fn catch_up(&mut self) {
        let partition = self.partition.clone();
        let mut caught_up = std::pin::pin!(partition.caught_up());
        loop {
            tokio::select! {
                reached = timeout(Duration::from_secs(30), &mut caught_up) => {
                    reached.unwrap().unwrap();
                    break;
                }
                Some(input) = self.inputs.recv() => self.note(&input),
            }
        }
        while let Ok(input) = self.inputs.try_recv() {
            self.note(&input);
        }
    }

    /// The error with which it ends.
    pub(super) async fn failure(&mut self) -> SourceError {
        let ended = timeout(Duration::from_mins(1), self.partition.ended()).await;
        ended.expect("it goes on").expect("it was closed")
    }

    pub(super) async fn close(mut self) -> Self {
        self.partition.close();
        while let Some(input) = self.inputs.recv().await {
            self.note(&input);
        }
        self
    }

    fn note(&mut self, input: &Input) {
        self.steps.push(input.offset);
        for batch in &input.events {
            let ids = batch.rows.column(0).as_string::<i32>();
            for row in 0..ids.len() {
                self.ids.push((batch.tenants.value(row), ids.value(row).to_owned()));
            }
        }
    }

    /// The ids alone, sorted.
    pub(super) fn sorted(&self) -> Vec<String> {
        let mut ids: Vec<String> = self.ids.iter().map(|(_, id)| id.clone()).collect();
        ids.sort();
        ids
    }
}

pub(super) fn config() -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &services().kafka)
        .set("message.max.bytes", "11534336")
        .set("linger.ms", "0");
    config
}

/// A payment as a CloudEvent.
pub(super) fn event(id: &str) -> Vec<u8> {
    json!({
        "specversion": "1.0", "id": id, "source": "/invoicing", "type": PAYMENT,
        "time": "2024-05-31T14:30:00Z",
        "data": {"payment_id": id, "invoice_id": "I", "amount": "12.50", "paid_on": "2024-05-31"},
    })
    .to_string()
    .into_bytes()
}

/// The schema of payments, with fields beside.
pub(super) fn payment_schema(more: &[serde_json::Value]) -> String {
    let mut fields = vec![
        json!({"name": "event_id", "type": "string"}),
        json!({"name": "tenant_id", "type": "string"}),
        json!({"name": "occurred_at", "type": {"type": "long", "logicalType": "timestamp-micros"}}),
        json!({"name": "payment_id", "type": "string"}),
        json!({"name": "invoice_id", "type": "string"}),
        json!({"name": "amount", "type": {"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 4}}),
        json!({"name": "paid_on", "type": {"type": "int", "logicalType": "date"}}),
    ];
    fields.extend_from_slice(more);
    json!({"type": "record", "name": "payment_received", "fields": fields}).to_string()
}
