//! From the broker's acknowledgement of an event to its delta at a client, while events come at a
//! steady pace.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Map, Value, json};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::avro::Schema;
use crate::events::{Event, Messages, tenant};
use crate::figures::{grouped, millis, quantile};
use crate::producer::{Moments, Producer};
use crate::service::{self, Service};
use crate::{Failure, Plan, Surroundings};

/// What is not measured, at the beginning.
const WARMING: Duration = Duration::from_secs(5);
/// How long the last deltas may take.
const LAST: Duration = Duration::from_secs(10);
/// Between two marked events.
const MARK_EVERY: Duration = Duration::from_millis(10);
/// The type of the marked events, and the view in which they are seen.
const MARKED: &str = "invoicing.invoice_issued";

#[derive(clap::Args)]
pub(crate) struct Latency {
    #[command(flatten)]
    surroundings: Surroundings,
    /// How many tenants send events
    #[arg(long, default_value_t = 300)]
    tenants: u32,
    /// How many of further tenants have a client each
    #[arg(long, default_value_t = 8)]
    watched: usize,
    /// Events a second
    #[arg(long, default_value_t = 20_000)]
    rate: u64,
    /// How long, without the five seconds before
    #[arg(long, default_value_t = 60)]
    seconds: u64,
}

impl Latency {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let folder = tempfile::tempdir()?;
        let prefix = service::prefix();
        let variables = service::kafka(&self.surroundings, &prefix);
        let mut service = Service::start(&self.surroundings.tidemark, folder.path(), &variables)?;
        service.ready().await?;
        let watched: Vec<String> = (0..self.watched).map(|w| format!("watched{w}")).collect();
        let mut all: Vec<String> = (0..self.tenants).map(tenant).collect();
        all.extend(watched.iter().cloned());
        service.onboard(&all).await?;
        let schemas = service.schemas(&self.surroundings.registry, &prefix).await?;
        let whole = WARMING + Duration::from_secs(self.seconds);
        let plan = Plan { tenants: self.tenants, events: self.rate * whole.as_secs(), seed: 7 };
        let messages = Messages::new(plan, &schemas)?;

        let (begin, marks) =
            (Instant::now(), (whole.as_millis() / MARK_EVERY.as_millis()) as usize + 10);
        let topics = schemas.iter().map(|schema| format!("{prefix}{}", schema.name)).collect();
        let marked = Moments::new(begin, marks);
        let producer = Producer::new(&self.surroundings.kafka, topics, marked)?;
        let seen = Arc::new(Moments::new(begin, marks));
        let (said, mut resets) = mpsc::channel(16);
        let mut clients = Vec::new();
        for id in &watched {
            let socket = subscribe(&service, id).await?;
            let (seen, said) = (Arc::clone(&seen), said.clone());
            clients.push(tokio::spawn(async move { watch(socket, &seen, &said).await }));
        }
        let pace = Pace { messages, schemas, watched, whole, rate: self.rate };
        let sending = producer.clone();
        let sent = tokio::task::spawn_blocking(move || pace.send(&sending)).await??;
        tokio::time::sleep(LAST).await;
        service.lives()?;
        for client in &clients {
            client.abort();
        }
        let mut reset = 0;
        while resets.try_recv().is_ok() {
            reset += 1;
        }
        self.tell(&producer, &seen, &sent, reset)
    }

    fn tell(
        &self,
        producer: &Producer,
        seen: &Moments,
        sent: &Sent,
        resets: u64,
    ) -> Result<(), Failure> {
        let acknowledged = producer.acknowledged();
        let (mut took, mut whole, mut missing) = (Vec::new(), Vec::new(), 0);
        for number in sent.measured_from..sent.marks.len() {
            let at = acknowledged.get(number).ok_or("a marked event was not acknowledged")?;
            let Some(came) = seen.get(number) else {
                missing += 1;
                continue;
            };
            // The delta may come while the acknowledgement is on its way.
            took.push(came.saturating_sub(at));
            whole.push(came.saturating_sub(sent.marks[number]));
        }
        took.sort_unstable();
        whole.sort_unstable();
        println!(
            "{} events/s for {} s (asked for {}), Avro, `acks=all`, {} tenants; {} marked invoices \
             of {} tenants, each with a WebSocket client on `open_invoices`.\n",
            grouped(sent.rate),
            self.seconds,
            grouped(self.rate),
            self.tenants,
            grouped(took.len() as u64),
            self.watched
        );
        println!("| | p50 | p99 | max |\n|---|---|---|---|");
        for (name, values) in [
            ("from the broker's acknowledgement to the client's delta", &took),
            ("from sending to the client's delta", &whole),
        ] {
            let [p50, p99, max] = [0.5, 0.99, 1.0].map(|share| millis(quantile(values, share)));
            println!("| {name} | {p50} | {p99} | {max} |");
        }
        println!("\nDeltas that did not come: {missing}; resets: {resets}.");
        if missing > 0 { Err("not all deltas came".into()) } else { Ok(()) }
    }
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A client of a tenant's open invoices; the snapshot has come.
async fn subscribe(service: &Service, tenant: &str) -> Result<Socket, Failure> {
    let token = service.token("executive", Some(tenant))?;
    let url = service.at("/v1/ws").replace("http:", "ws:");
    let mut request = url.into_client_request()?;
    request.headers_mut().insert("Authorization", format!("Bearer {token}").parse()?);
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await?;
    let ask = json!({ "type": "subscribe", "id": "a", "view": "open_invoices" });
    socket.send(Message::text(ask.to_string())).await?;
    loop {
        let Some(message) = socket.next().await else { return Err("the stream ended".into()) };
        if let Message::Text(text) = message?
            && text.contains("snapshot")
        {
            return Ok(socket);
        }
    }
}

/// Notes when the marked invoices come.
async fn watch(mut socket: Socket, seen: &Moments, resets: &mpsc::Sender<()>) {
    while let Some(Ok(message)) = socket.next().await {
        let came = Instant::now();
        let Message::Text(text) = message else { continue };
        let Ok(message) = serde_json::from_str::<Value>(&text) else { continue };
        match message["type"].as_str() {
            Some("delta") => {
                for change in message["changes"].as_array().into_iter().flatten() {
                    if let Some(number) = mark(&change[1][0]) {
                        seen.note(number, came);
                    }
                }
            }
            Some("reset") => {
                // The count alone matters, and a full channel counts enough.
                let _ = resets.try_send(());
            }
            _ => {}
        }
    }
}

/// The number of a marked invoice.
fn mark(invoice: &Value) -> Option<usize> {
    invoice.as_str()?.strip_prefix("marked-")?.parse().ok()
}

/// What is sent, and how quickly.
struct Pace {
    messages: Messages,
    schemas: Vec<Schema>,
    watched: Vec<String>,
    whole: Duration,
    rate: u64,
}

/// What was sent.
struct Sent {
    /// When each marked event was, in microseconds since the beginning.
    marks: Vec<u64>,
    /// The first mark behind the warming.
    measured_from: usize,
    /// Events a second.
    rate: u64,
}

impl Pace {
    fn send(&self, producer: &Producer) -> Result<Sent, Failure> {
        let begun = Instant::now();
        let (mut sent, mut marks, mut measured_from) = (0, Vec::new(), 0);
        let topic = self.schemas.iter().position(|schema| schema.name == MARKED);
        let topic = topic.ok_or("no type for the marked events")?;
        let mut value = Vec::new();
        while begun.elapsed() < self.whole {
            let due = (begun.elapsed().as_micros() as u64 * self.rate / 1_000_000) as usize;
            while sent < due.min(self.messages.len()) {
                let (topic, number, value) = self.messages.get(sent);
                producer.send(topic, &tenant(number), value, None)?;
                sent += 1;
            }
            let now = begun.elapsed().min(self.whole);
            if now >= MARK_EVERY * marks.len() as u32 {
                let number = marks.len();
                let id = &self.watched[number % self.watched.len()];
                value.clear();
                self.schemas[topic].encode(&invoice(id, number), &mut value)?;
                marks.push(producer.acknowledged().now());
                producer.send(topic, id, &value, Some(number))?;
            }
            if begun.elapsed() < WARMING {
                measured_from = marks.len();
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let rate = (sent + marks.len()) as u64 * 1000 / begun.elapsed().as_millis().max(1) as u64;
        producer.flush()?;
        Ok(Sent { marks, measured_from, rate })
    }
}

fn invoice(tenant: &str, number: usize) -> Event<'_> {
    let id = format!("marked-{number}");
    let fields = [
        ("invoice_id", json!(id)),
        ("customer_id", json!(format!("c{}", number % 50))),
        ("issue_date", json!("2024-05-01")),
        ("due_date", json!("2024-05-31")),
        ("amount", json!("120.50")),
        ("currency", json!("EUR")),
    ];
    let data: Map<String, Value> =
        fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Event {
        id: id.into(),
        r#type: MARKED.into(),
        time: "2024-05-01T09:00:00Z".into(),
        tenantid: tenant.into(),
        subject: None,
        data,
    }
}
