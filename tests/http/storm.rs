//! Some hundred clients that drop and come back at once, as when a proxy restarts, while events go on.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::join_all;
use serde_json::{Value, json};

use crate::live::{Events, Received, Socket, connect, hear, say};
use crate::service::{Service, invoice, payment};

/// Clients on each of the two ways.
const CLIENTS: usize = 150;
/// How often all of them drop.
const STORMS: usize = 3;
/// What is sent while they come back, twice as many events.
const SENT: usize = 10;

/// What a client holds: how many times each row, and where that stands.
#[derive(Clone, Debug, Default)]
struct Held {
    rows: BTreeMap<String, i64>,
    /// Of the last message.
    position: Option<String>,
    /// From where it resumes.
    mark: Option<String>,
}

impl Held {
    fn take(&mut self, kind: &str, message: &Value) {
        // So few rows come in one part.
        if kind == "snapshot" || kind == "reset" {
            self.rows.clear();
            self.position = None;
        }
        let mut change = |weight: i64, row: &Value| {
            let times = self.rows.entry(row.to_string()).or_default();
            *times += weight;
            assert!(*times >= 0, "what is not held goes: {message}");
        };
        match kind {
            "snapshot" => {
                message["rows"].as_array().unwrap().iter().for_each(|row| change(1, row));
            }
            "delta" => {
                let changes = message["changes"].as_array().unwrap();
                let goes = |change: &&Value| change[0].as_i64().unwrap() < 0;
                let (gone, come): (Vec<&Value>, Vec<&Value>) = changes.iter().partition(goes);
                for one in gone.into_iter().chain(come) {
                    change(one[0].as_i64().unwrap(), &one[1]);
                }
            }
            "reset" | "resumed" => {}
            _ => panic!("{kind}: {message}"),
        }
        self.rows.retain(|_, times| *times != 0);
        if let Some(position) = message["position"].as_str() {
            self.position = Some(position.to_owned());
        }
    }

    fn stands_at(&self, position: &str) -> bool {
        self.position.as_deref() == Some(position)
    }
}

/// A client on its way.
enum Link {
    Stream(Events),
    Socket(Socket),
}

impl Link {
    /// Comes, and goes on from where `held` was.
    async fn open(service: &Service, token: &str, is_socket: bool, held: &Held) -> Self {
        let mut sub = json!({ "id": "a", "view": "open_invoices" });
        if !is_socket {
            return Self::Stream(Events::open(service, token, &[sub], held.mark.as_deref()).await);
        }
        let mut socket = connect(service, "").await;
        say(&mut socket, json!({ "type": "auth", "token": token })).await;
        sub["type"] = json!("subscribe");
        if let Some(mark) = &held.mark {
            sub["resume"] = json!(mark);
        }
        say(&mut socket, sub).await;
        Self::Socket(socket)
    }

    /// Takes the next message; what kind it is of.
    async fn next(&mut self, held: &mut Held) -> String {
        let (kind, message): Received = match self {
            Self::Stream(events) => events.telling().await,
            Self::Socket(socket) => {
                let message = hear(socket).await;
                (message["type"].as_str().unwrap().to_owned(), message)
            }
        };
        held.take(&kind, &message);
        held.mark = match self {
            _ if kind == "reset" => None,
            Self::Stream(events) if events.last_id.is_empty() => held.mark.take(),
            Self::Stream(events) => Some(events.last_id.clone()),
            Self::Socket(_) => held.position.clone(),
        };
        kind
    }

    /// Takes what comes until it holds the view again.
    async fn back(&mut self, held: &mut Held) {
        while !["snapshot", "resumed"].contains(&self.next(held).await.as_str()) {}
    }

    /// Takes what comes until it stands at `position`.
    async fn until(&mut self, held: &mut Held, position: &str) {
        while !held.stands_at(position) {
            self.next(held).await;
        }
    }
}

/// All clients come back at once, some times, while events go on; the receipt of the last event.
async fn storms(service: &Service, admin: &str, clients: &mut [Held]) -> Value {
    let mut receipt = Value::Null;
    for storm in 0..=STORMS {
        // Who holds the view again is cut off at once, in the middle of what happens.
        let coming = clients.iter_mut().enumerate().map(|(place, held)| async move {
            let mut link = Link::open(service, admin, place % 2 == 0, held).await;
            link.back(held).await;
        });
        let sending = async {
            for number in 0..SENT {
                let id = format!("i{storm}-{number}");
                let events = [invoice(&id, "c1", "10"), payment(&format!("p{id}"), "i0", "1")];
                receipt = service.send(admin, &events).await;
            }
        };
        tokio::join!(join_all(coming), sending);
    }
    receipt
}

/// That the service says that it is ready, until this is over.
async fn ready(service: &Service, is_over: &AtomicBool) {
    while !is_over.load(Ordering::Acquire) {
        let answer = service.client.get(service.url("/readyz")).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_all_come_back_at_once_miss_nothing() {
    let service = &Service::start().await;
    let admin = &service.tenant("stormy").await;
    service.send(admin, &[invoice("i0", "c1", "100")]).await;
    let mut clients = vec![Held::default(); 2 * CLIENTS];
    let is_over = AtomicBool::new(false);
    let storming = async {
        let receipt = storms(service, admin, &mut clients).await;
        is_over.store(true, Ordering::Release);
        receipt
    };
    let (receipt, ()) = tokio::join!(storming, ready(service, &is_over));

    // They come a last time, when nothing is sent any more.
    let position = receipt["position"].as_str().unwrap();
    let mut fresh = Held::default();
    let mut link = Link::open(service, admin, false, &fresh).await;
    link.until(&mut fresh, position).await;
    assert_eq!(fresh.rows.len(), 1 + SENT * (STORMS + 1));
    let last = clients.iter_mut().enumerate().map(|(place, held)| async move {
        let mut link = Link::open(service, admin, place % 2 == 0, held).await;
        link.until(held, position).await;
    });
    join_all(last).await;
    for held in &clients {
        assert_eq!(held.rows, fresh.rows);
    }
}
