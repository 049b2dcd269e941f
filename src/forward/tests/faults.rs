//! Nobody serves, nobody answers, and what is never done twice.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use tenancy::TenantId;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::nodes::{Front, OnePlace, Owner, at, pair, problem};
use crate::forward::{Places, Served};

/// An address at which nobody listens.
async fn nowhere() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

/// A node that reads so many bytes of a request and goes away; counts how often it is asked.
async fn dying(bytes: usize) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            let mut head = vec![0; bytes];
            socket.read_exact(&mut head).await.unwrap();
        }
    });
    (address, asked)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_waits_while_its_tenant_is_handed_over() {
    let owner = Owner::start().await;
    let place = OnePlace::new(Served::Nowhere);
    let front = Front::start(&owner, place.clone()).await;
    let admin = owner.tenant("acme").await;
    let question = serde_json::json!({"sql": "SELECT 1"});
    let asked = front.post("/v1/query", &admin).json(&question).send();
    let asked = tokio::spawn(asked);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!asked.is_finished());
    // First to one that is not there yet.
    place.set(at(nowhere().await));
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!asked.is_finished());
    place.set(at(owner.address));
    assert_eq!(asked.await.unwrap().unwrap().status(), 200);
    owner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_serves_the_caller_is_told_to_come_again() {
    let owner = Owner::start().await;
    let admin = owner.tenant("acme").await;
    let places = [Served::Nowhere, at(nowhere().await)];
    for place in places {
        let front = Front::start(&owner, OnePlace::new(place)).await;
        let answer = front.get("/v1/views", &admin).send().await.unwrap();
        assert_eq!(answer.headers()["retry-after"], "1");
        assert_eq!(answer.headers().get("tidemark-forwarded"), None);
        problem(answer, 503, "not-served").await;
    }
    owner.stop().await;
}

/// Two nodes that take each other for the owner.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_forwarded_once() {
    let owner = Owner::start().await;
    let admin = owner.tenant("acme").await;
    let (to_right, to_left) = (OnePlace::new(Served::Nowhere), OnePlace::new(Served::Nowhere));
    let left = Front::start(&owner, to_right.clone()).await;
    let right = Front::start(&owner, to_left.clone()).await;
    to_right.set(at(right.address));
    to_left.set(at(left.address));
    let body = vec![b'x'; 1 << 20];
    let request = left.post("/v1/events", &admin).header("content-type", "application/x-ndjson");
    problem(request.body(body).send().await.unwrap(), 503, "not-served").await;
    let direct = right.get("/v1/views", &admin).header("tidemark-forwarded", "1");
    let refused = direct.send().await.unwrap();
    assert_eq!(refused.headers()["tidemark-forwarded"], "refused");
    problem(refused, 503, "not-served").await;
    owner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_node_may_have_begun_is_not_sent_again() {
    let owner = Owner::start().await;
    let admin = owner.tenant("acme").await;
    let (address, asked) = dying(4_096).await;
    let front = Front::start(&owner, OnePlace::at(address)).await;
    let request = front.post("/v1/events", &admin).header("content-type", "application/x-ndjson");
    let answer = request.body(vec![b' '; 1 << 20]).send().await.unwrap();
    assert_eq!(answer.headers()["retry-after"], "1");
    problem(answer, 503, "interrupted").await;
    assert_eq!(asked.load(Ordering::SeqCst), 1);

    // Nor what has no body, unless it only reads; and that once.
    let (address, asked) = dying(64).await;
    let front = Front::start(&owner, OnePlace::at(address)).await;
    let answer = front.post("/v1/tickets", &admin).send().await.unwrap();
    problem(answer, 503, "interrupted").await;
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    let answer = front.get("/v1/views", &admin).send().await.unwrap();
    problem(answer, 503, "interrupted").await;
    assert_eq!(asked.load(Ordering::SeqCst), 3);
    owner.stop().await;
}

/// A node that takes a request and answers nothing, while another one takes the partition over.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_hangs_is_given_up_when_another_has_taken_over() {
    let (owner, front, admin) = pair().await;
    drop(front);
    let hanging = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = OnePlace::at(hanging.local_addr().unwrap());
    let front = Front::start(&owner, place.clone()).await;
    let asked = tokio::spawn(front.get("/v1/views", &admin).send());
    let posted = tokio::spawn(front.post("/v1/tickets", &admin).send());
    let held = [hanging.accept().await.unwrap(), hanging.accept().await.unwrap()];
    place.set(at(owner.address));
    assert_eq!(asked.await.unwrap().unwrap().status(), 200);
    problem(posted.await.unwrap().unwrap(), 503, "interrupted").await;
    drop(held);
    owner.stop().await;
}

/// An answer that breaks off is not taken for a whole one.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_breaks_off_breaks_off_for_the_caller() {
    let owner = Owner::start().await;
    let admin = owner.tenant("acme").await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let front = Front::start(&owner, OnePlace::at(listener.local_addr().unwrap())).await;
    let asked = tokio::spawn(front.get("/v1/views", &admin).send());
    let (mut socket, _) = listener.accept().await.unwrap();
    let head = b"HTTP/1.1 200 OK\r\ncontent-type: text/csv\r\ntransfer-encoding: chunked\r\n\r\n";
    socket.write_all(head).await.unwrap();
    socket.write_all(b"5\r\nhello\r\n").await.unwrap();
    let mut answer = asked.await.unwrap().unwrap();
    assert_eq!(answer.chunk().await.unwrap().unwrap(), "hello");
    drop(socket);
    assert!(answer.chunk().await.is_err());
    owner.stop().await;
}

/// A partition that is given up as soon as it was looked for once.
struct GivenUp(AtomicUsize);

impl Places for Arc<GivenUp> {
    fn partition(&self, _: &TenantId) -> u32 {
        0
    }

    fn of_partition(&self, _: u32) -> Served {
        if self.0.fetch_add(1, Ordering::SeqCst) == 0 { Served::Here } else { Served::Nowhere }
    }
}

/// What is answered from after the partition has gone is nothing, and nothing is no figure.
#[tokio::test(flavor = "multi_thread")]
async fn a_read_whose_partition_is_given_up_under_way_is_refused() {
    let owner = Owner::start().await;
    let place = Arc::new(GivenUp(AtomicUsize::new(0)));
    let front = Front::start(&owner, Arc::clone(&place)).await;
    front.open().await;
    let admin = owner.tenant("acme").await;
    let sum = json!({"sql": "SELECT 1"});
    let calls = [
        front.post("/v1/query", &admin).json(&sum),
        front.get("/v1/views", &admin),
        front.get("/v1/views/open_invoices", &admin),
        front.get("/v1/views/open_invoices?wait_ms=10", &admin),
        front.get("/v1/views/open_invoices", &admin).header("accept", "text/csv"),
        front.get("/v1/views/open_invoices/status", &admin),
        front.get("/v1/stream?sub=%7B%22id%22%3A%22a%22%2C%22view%22%3A%22ar_aging%22%7D", &admin),
    ];
    for call in calls {
        place.0.store(0, Ordering::SeqCst);
        problem(call.send().await.unwrap(), 503, "not-served").await;
        assert!(place.0.load(Ordering::SeqCst) > 1);
    }
    // Whether a view is gone cannot be said where all are.
    place.0.store(0, Ordering::SeqCst);
    let deleted = front.delete("/v1/views/mine", &admin).send().await.unwrap();
    problem(deleted, 503, "interrupted").await;
    owner.stop().await;
}
