//! Streams, tickets and positions of another.

use std::time::Duration;

use futures::StreamExt;
use reqwest::Response;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::answers::Said;
use crate::firms::{Firms, MARK, NOBODYS, THEIRS, feed};
use crate::service::stream;

/// How much of a stream is read: until it has said nothing for so long.
const SILENCE: Duration = Duration::from_millis(400);

/// What a stream says at first, as an answer.
pub(crate) async fn beginning(answer: Response) -> Said {
    let (status, headers) = (answer.status(), answer.headers().clone());
    let mut body = Vec::new();
    let mut parts = answer.bytes_stream();
    while let Ok(Some(Ok(part))) = timeout(SILENCE, parts.next()).await {
        body.extend_from_slice(&part);
    }
    let text = String::from_utf8(body).unwrap();
    // Positions and the moment to come again are of each stream.
    let told: String = text
        .lines()
        .filter(|line| !line.starts_with("id:") && !line.starts_with("retry:"))
        .filter(|line| !line.contains("\"position\"") || line.contains("rows"))
        .fold(String::new(), |told, line| told + line + "\n");
    let mut response = told_as(status.as_u16(), &told);
    response.headers = headers
        .iter()
        .filter(|(name, _)| name.as_str() != "date")
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap_or("?").to_owned()))
        .collect();
    response.headers.sort();
    response
}

fn told_as(status: u16, body: &str) -> Said {
    let body = body.replace(THEIRS, "NAME").replace(NOBODYS, "NAME");
    Said { status, headers: Vec::new(), body }
}

/// A text of the same form as the position, that nobody has.
fn made_up(position: &str) -> String {
    let mut text: Vec<char> = position.chars().collect();
    for c in text.iter_mut().skip(1).take(4) {
        *c = if *c == '7' { '3' } else { '7' };
    }
    text.into_iter().collect()
}

#[tokio::test]
async fn a_position_of_another_is_none() {
    let firms = Firms::new().await;
    let (service, seeker) = (&firms.service, &firms.seeker);
    let mut attempts = 0;
    for path in ["/v1/views?wait_for=", "/v1/views/ar_aging?wait_for=", "/v1/views/ar_aging?after="]
    {
        let mut answers = Vec::new();
        for position in [firms.position.clone(), made_up(&firms.position)] {
            let answer = service.get(&format!("{path}{position}"), seeker).send().await.unwrap();
            let mut said = Said::of(answer).await;
            said.body = said.body.replace(&position, "POSITION");
            said.keeps_secret(path);
            assert_eq!(said.status, 400, "{said:?}");
            answers.push(said);
            attempts += 1;
        }
        assert_eq!(answers[0], answers[1], "{path}");
    }
    // A stream that is to be resumed there begins anew.
    let sub =
        |position: &str| json!({ "id": "a", "view": "ar_aging", "resume": position }).to_string();
    let mut begun = Vec::new();
    for position in [firms.position.clone(), made_up(&firms.position)] {
        for by_header in [false, true] {
            let plain = json!({ "id": "a", "view": "ar_aging" }).to_string();
            let asked = if by_header { plain } else { sub(&position) };
            let mut request = service.get(&stream(&[("sub", asked)]), seeker);
            if by_header {
                request = request.header("last-event-id", &position);
            }
            let mut said = beginning(request.send().await.unwrap()).await;
            said.body = said.body.replace(&position, "POSITION");
            said.keeps_secret("a resumed stream");
            begun.push(said);
            attempts += 1;
        }
    }
    assert!(begun.windows(2).all(|pair| pair[0] == pair[1]), "{begun:#?}");
    println!("{attempts} attempts by positions, no leak");
}

#[tokio::test]
async fn a_stream_tells_its_own_tenant_alone() {
    let firms = Firms::new().await;
    let (service, seeker) = (&firms.service, &firms.seeker);
    let views: Value = service.get("/v1/views", seeker).send().await.unwrap().json().await.unwrap();
    let names: Vec<&str> =
        views["views"].as_array().unwrap().iter().map(|v| v["name"].as_str().unwrap()).collect();
    let subs: Vec<(&str, String)> =
        names.iter().map(|name| ("sub", json!({ "id": name, "view": name }).to_string())).collect();
    let answer = service.get(&stream(&subs), seeker).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let mut parts = answer.bytes_stream();
    // The firm's events come while the other listens to all there is.
    feed_more(&firms).await;
    let own = service
        .send(seeker, &[crate::service::invoice("own-last", "own-customer-last", "5")])
        .await;
    assert_eq!(own["accepted"], 1);
    let mut heard = String::new();
    while !heard.contains("own-customer-last") {
        let part = timeout(Duration::from_secs(20), parts.next()).await.unwrap().unwrap().unwrap();
        heard.push_str(&String::from_utf8_lossy(&part));
    }
    assert!(!heard.contains(MARK), "a leak by a stream: {heard}");
    println!("{} views followed, no leak", names.len());
}

async fn feed_more(firms: &Firms) {
    let events: Vec<Value> = (0..50)
        .map(|n| crate::service::invoice(&format!("zqx-more-{n}"), "zqx-customer-0", "7"))
        .collect();
    let receipt = firms.service.send(&firms.firm, &events).await;
    firms.service.rows(&firms.firm, "ar_aging", &receipt["position"]).await;
}

#[tokio::test]
async fn a_ticket_is_of_the_tenant_that_asked_for_it_and_used_once() {
    let firms = Firms::new().await;
    let service = &firms.service;
    let ticket = |token: String| async move {
        let answer = service.post("/v1/tickets", &token).send().await.unwrap();
        answer.json::<Value>().await.unwrap()["ticket"].as_str().unwrap().to_owned()
    };
    let follow = |ticket: String| {
        let sub = json!({ "id": "a", "view": "ar_aging" }).to_string();
        let path = stream(&[("sub", sub), ("ticket", ticket)]);
        service.client.get(service.url(&path)).send()
    };
    let (theirs, own) = (ticket(firms.firm.clone()).await, ticket(firms.seeker.clone()).await);
    let said = beginning(follow(own).await.unwrap()).await;
    assert_eq!(said.status, 200);
    said.keeps_secret("a ticket");
    // The firm uses its own; then it is as one that never was.
    assert!(beginning(follow(theirs.clone()).await.unwrap()).await.body.contains(MARK));
    let used = Said::of(follow(theirs.clone()).await.unwrap()).await;
    let never = Said::of(follow(made_up_ticket(&theirs)).await.unwrap()).await;
    assert_eq!(used.status, 401);
    assert_eq!(used, never);
}

fn made_up_ticket(ticket: &str) -> String {
    let (partition, random) = ticket.split_once('-').unwrap();
    let turned: String = random.chars().map(|c| if c == 'A' { 'B' } else { 'A' }).collect();
    format!("{partition}-{turned}")
}

/// Both have an event type and a view of the same names, and each its own.
#[tokio::test]
async fn the_same_names_are_each_ones_own() {
    let firms = Firms::new().await;
    let (service, seeker) = (&firms.service, &firms.seeker);
    crate::firms::define(service, seeker, "mine").await;
    let view = json!({ "name": THEIRS, "sql": "SELECT customer_id, max(amount) AS most FROM open_invoices GROUP BY customer_id" });
    let made = service.post("/v1/views", seeker).json(&view).send().await.unwrap();
    assert_eq!(made.status(), 201, "{}", made.text().await.unwrap());
    let kind = format!("{THEIRS}.kept");
    let receipt =
        service.send(seeker, &[crate::service::event(&kind, "k", &json!({ "mine": "m" }))]).await;
    assert_eq!(receipt["accepted"], 1, "{receipt}");
    feed(service, seeker, "own", 2).await;
    let path = format!("/v1/views/{THEIRS}?wait_ms=20000");
    for (token, is_firm) in [(&firms.firm, true), (seeker, false)] {
        let text = service.get(&path, token).send().await.unwrap().text().await.unwrap();
        assert_eq!(text.contains(MARK), is_firm, "{text}");
        let rows = service.ask(token, &format!("SELECT * FROM events.\"{kind}\"")).await;
        assert_eq!(rows.to_string().contains(MARK), is_firm, "{rows}");
        assert_eq!(rows.as_array().unwrap().len(), 1, "{rows}");
    }
}
