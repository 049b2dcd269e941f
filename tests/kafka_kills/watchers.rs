//! Clients that hold views by stream: they connect through any node, drop out now and then, resume
//! where they were, and apply what they are told.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use tenancy::Role;
use tokio::time::timeout;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::CancellationToken;

use crate::held::{Held, Rows};
use crate::nodes::Nodes;
use crate::process::token;

/// How long a connection may be silent: many heartbeats.
const SILENCE: Duration = Duration::from_secs(30);
/// Before a client connects again.
const PAUSE: Duration = Duration::from_millis(150);
/// Messages after which a client drops out, on average.
const MESSAGES: u32 = 40;

/// A client and what it holds, by view.
pub(crate) struct Watcher {
    pub(crate) tenant: String,
    pub(crate) views: Vec<String>,
    is_websocket: bool,
    random: Mutex<StdRng>,
    held: Mutex<HashMap<String, Held>>,
    /// How often it has received each type of message, and each problem.
    pub(crate) heard: Mutex<BTreeMap<String, usize>>,
    /// The first promise that was broken.
    pub(crate) broken: Mutex<Option<String>>,
}

impl Watcher {
    pub(crate) fn new(place: usize, tenant: &str, views: &[String], mut random: StdRng) -> Self {
        let views: Vec<String> = views.choose_multiple(&mut random, 3).cloned().collect();
        Self {
            tenant: tenant.to_owned(),
            views,
            is_websocket: place.is_multiple_of(2),
            random: Mutex::new(StdRng::from_rng(&mut random)),
            held: Mutex::default(),
            heard: Mutex::default(),
            broken: Mutex::default(),
        }
    }

    /// Whether it holds these rows of a view.
    pub(crate) fn holds(&self, view: &str, rows: &Rows) -> bool {
        self.held.lock().unwrap().get(view).is_some_and(|held| held.rows.as_ref() == Some(rows))
    }

    /// What it holds of a view, to be printed.
    pub(crate) fn shown(&self, view: &str) -> String {
        format!("{:?}", self.held.lock().unwrap().get(view))
    }

    /// Watches until `closing`, or until a promise is broken.
    pub(crate) async fn watch(self: Arc<Self>, nodes: Arc<Nodes>, closing: CancellationToken) {
        let watching = async {
            if self.is_websocket {
                self.over_websocket(&nodes).await
            } else {
                self.over_events(&nodes).await
            }
        };
        tokio::select! {
            () = closing.cancelled() => {}
            broken = watching => *self.broken.lock().unwrap() = Some(broken),
        }
    }

    fn take(&self, view: &str, message: &Value) -> Result<(), String> {
        let mut held = self.held.lock().unwrap();
        held.entry(view.to_owned()).or_default().take(message).map_err(|broken| {
            let way = if self.is_websocket { "WebSocket" } else { "event stream" };
            format!("{} {view} by {way}: {broken}", self.tenant)
        })
    }

    fn note(&self, message: &Value) {
        let mut heard = self.heard.lock().unwrap();
        let mut name = message["type"].as_str().unwrap_or("nothing").to_owned();
        if name == "error" {
            name = message["problem"].to_string();
        }
        *heard.entry(name).or_default() += 1;
    }

    /// Between two connections.
    async fn pause(&self) {
        self.held.lock().unwrap().values_mut().for_each(Held::cut_off);
        tokio::time::sleep(PAUSE).await;
    }

    fn drops_out(&self) -> bool {
        self.random.lock().unwrap().random_ratio(1, MESSAGES)
    }

    /// Every subscription resumes from its own position. Answers the promise that was broken.
    async fn over_websocket(&self, nodes: &Nodes) -> String {
        let mut positions: HashMap<String, String> = HashMap::new();
        loop {
            self.pause().await;
            let url = format!("ws://{}/v1/ws", nodes.any().address);
            let Ok((mut socket, _)) = connect_async(url).await else { continue };
            let mut first =
                vec![json!({"type": "auth", "token": token(Some(&self.tenant), Role::Analyst)})];
            for (place, view) in self.views.iter().enumerate() {
                let mut subscribe = json!({"type": "subscribe", "id": view, "view": view});
                if place == 0 {
                    subscribe["max_rate_ms"] = json!(200);
                }
                if let Some(position) = positions.get(view) {
                    subscribe["resume"] = json!(position);
                }
                first.push(subscribe);
            }
            for message in first {
                if socket.send(Message::text(message.to_string())).await.is_err() {
                    break;
                }
            }
            while let Ok(Some(Ok(message))) = timeout(SILENCE, socket.next()).await {
                let Message::Text(text) = message else { continue };
                let message: Value = serde_json::from_str(&text).unwrap();
                self.note(&message);
                let position = message["position"].as_str().map(str::to_owned);
                match (message["type"].as_str(), message["id"].as_str(), position) {
                    (Some("error"), _, _) => break,
                    // As one of them has a rate, the others may have been told later positions.
                    (Some("heartbeat"), ..) => {}
                    (_, Some(view), position) => {
                        if let Err(broken) = self.take(view, &message) {
                            return broken;
                        }
                        // A snapshot that has come in part cannot be resumed from.
                        if message["type"] != "snapshot" || message["last"] == true {
                            positions.remove(view);
                            positions.extend(position.map(|new| (view.to_owned(), new)));
                        }
                    }
                    _ => {}
                }
                if self.drops_out() {
                    break;
                }
            }
        }
    }

    /// All subscriptions resume from the last `id`. What came after that did not count, so it is
    /// kept until an id completes it. Answers the promise that was broken.
    async fn over_events(&self, nodes: &Nodes) -> String {
        let mut last_id: Option<String> = None;
        let query: Vec<String> = self
            .views
            .iter()
            .map(|view| format!("sub={}", escaped(&json!({"id": view, "view": view}))))
            .collect();
        // Without the limit of a whole answer's time.
        let client = reqwest::Client::new();
        loop {
            self.pause().await;
            let url = format!("http://{}/v1/stream?{}", nodes.any().address, query.join("&"));
            let mut request = client.get(url).bearer_auth(token(Some(&self.tenant), Role::Analyst));
            if let Some(id) = &last_id {
                request = request.header("last-event-id", id);
            }
            let Ok(mut answer) = request.send().await else { continue };
            if !answer.status().is_success() {
                let name = format!("status {}", answer.status());
                *self.heard.lock().unwrap().entry(name).or_default() += 1;
                continue;
            }
            let mut received = Vec::new();
            let mut waiting: Vec<Value> = Vec::new();
            'connected: while let Ok(Ok(Some(bytes))) = timeout(SILENCE, answer.chunk()).await {
                received.extend_from_slice(&bytes);
                while let Some((event, rest)) = cut(&received) {
                    received = rest;
                    let Some((id, message)) = event else { continue };
                    self.note(&message);
                    if message["type"] == "error" {
                        break 'connected;
                    }
                    waiting.push(message);
                    let Some(id) = id else { continue };
                    for message in waiting.drain(..) {
                        let Some(view) = message["id"].as_str() else { continue };
                        if let Err(broken) = self.take(view, &message) {
                            return broken;
                        }
                    }
                    last_id = Some(id).filter(|id| !id.is_empty());
                    if self.drops_out() {
                        break 'connected;
                    }
                }
            }
        }
    }
}

/// An event of a stream: its id, which may be empty, and its message.
type Event = (Option<String>, Value);

/// The first event of a stream's bytes, if it is whole (none if it says nothing), and the rest.
fn cut(bytes: &[u8]) -> Option<(Option<Event>, Vec<u8>)> {
    let end = bytes.windows(2).position(|pair| pair == b"\n\n")?;
    let (mut id, mut message) = (None, None);
    for line in std::str::from_utf8(&bytes[..end]).unwrap().lines() {
        match line.split_once(':') {
            Some(("id", value)) => id = Some(value.trim().to_owned()),
            Some(("data", value)) => message = Some(serde_json::from_str(value).unwrap()),
            _ => {}
        }
    }
    Some((message.map(|message| (id, message)), bytes[end + 2..].to_vec()))
}

/// JSON as a value of a parameter.
fn escaped(value: &Value) -> String {
    value.to_string().bytes().fold(String::new(), |text, byte| format!("{text}%{byte:02x}"))
}
