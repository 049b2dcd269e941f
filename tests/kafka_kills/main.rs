//! Exactly once, whatever dies.
//!
//! A transactional producer writes the events of thousands of tenants to Apache Kafka, aborts some
//! transactions, leaves some open, and repeats events, with other contents too; Avro by old and new
//! writers and JSON are mixed. Some tenants post theirs by HTTP. Meanwhile nodes are killed with
//! SIGKILL and started again, and clients hold views by stream. In the end
//! - every tenant has exactly the events that were committed, by their ids, each once;
//! - every view of some tenants, drawn by the seed, reads as DataFusion's answer to its SQL over
//!   those events, and does so again after all nodes have been killed once more;
//! - every client holds what its views read, and was never told to remove a row that it did not hold;
//! - there is no dead letter, and no error in a log.
//!
//! What a run does is set by the environment: see `run.rs`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../kafka/broker.rs"]
mod broker;
mod check;
#[path = "../generated_histories/cloud_events.rs"]
#[allow(dead_code)]
mod cloud_events;
mod firms;
#[allow(dead_code)]
#[path = "../../projections/tests/harness/generated.rs"]
mod generated;
mod held;
#[allow(dead_code)]
#[path = "../../projections/tests/harness/history.rs"]
mod history;
mod kills;
mod nodes;
#[allow(dead_code)]
#[path = "../../projections/tests/harness/oracle.rs"]
mod oracle;
mod poster;
#[path = "../kafka/postgres.rs"]
mod postgres;
#[allow(dead_code)]
#[path = "../real_data/process.rs"]
mod process;
mod producer;
mod run;
#[allow(dead_code)]
#[path = "../../projections/tests/harness/unordered.rs"]
mod unordered;
mod watchers;
mod wire;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use rand::seq::IndexedRandom;
use reqwest::Method;
use serde_json::json;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use check::{Batch, batch_answers};
use firms::{Firm, firms};
use kills::kill_again_and_again;
use nodes::{Nodes, json_body};
use poster::post_all;
use producer::Producer;
use run::{Progress, Run};
use watchers::Watcher;
use wire::Wire;

/// The stack that planning deep queries needs in a build for tests.
const STACK: usize = 16 << 20;

#[test]
fn every_event_counts_once_whatever_is_killed() {
    let run = Run::from_environment();
    println!("{run:?}");
    let firms = Arc::new(firms(run.seed, run.tenants, run.watchers));
    let places: Vec<usize> = (0..firms.len()).collect();
    let sample: Vec<usize> =
        places.choose_multiple(&mut run.chance(1), run.compared).copied().collect();
    let batch = {
        let firms = Arc::clone(&firms);
        let thread = std::thread::Builder::new().stack_size(STACK);
        thread.spawn(move || batch_answers(&firms, &sample)).unwrap()
    };
    let runtime = Runtime::new().unwrap();
    let root = tempfile::tempdir().unwrap();
    let prefix = broker::prefix();
    let nodes = Arc::new(Nodes::start(root.path(), &run, &prefix));
    let wrong = runtime.block_on(async {
        let mut wrong = happen(&run, &nodes, &firms, &prefix).await;
        let expected = tokio::task::spawn_blocking(|| batch.join().unwrap()).await.unwrap();
        wrong.extend(compare(&nodes, &firms, &expected).await);
        wrong
    });
    assert!(wrong.is_empty(), "{run:?}: {} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// Everything that happens, until every tenant has its events; answers what is wrong.
async fn happen(
    run: &Run,
    nodes: &Arc<Nodes>,
    firms: &Arc<Vec<Firm>>,
    prefix: &str,
) -> Vec<String> {
    let begun = Instant::now();
    let say = |what: &str| println!("{:6.1} s  {what}", begun.elapsed().as_secs_f64());
    let wire = Wire::register(&broker::addresses().1, prefix).await;
    nodes.ready().await;
    say("ready");
    create(nodes, firms).await;
    say("tenants are there");
    let closing = CancellationToken::new();
    let watchers = watchers(run, firms);
    let watching: Vec<_> = watchers
        .iter()
        .map(|w| tokio::spawn(Arc::clone(w).watch(Arc::clone(nodes), closing.clone())))
        .collect();
    let progress = Arc::new(Progress::new(run.kills));
    let (done, produced) = oneshot::channel();
    {
        let (firms, progress) = (Arc::clone(firms), Arc::clone(&progress));
        let (prefix, chance) = (prefix.to_owned(), run.chance(2));
        // Nobody waits for its end if something else fails first.
        std::thread::spawn(move || {
            let producer = Producer::new(&firms, wire, &prefix, chance);
            done.send(producer.produce(&progress)).unwrap();
        });
    }
    let (kills, sent, posted, ()) = tokio::join!(
        kill_again_and_again(run, nodes, &progress, run.chance(3)),
        produced,
        post_all(nodes, firms, &progress, run.chance(5)),
        change_dates(nodes, firms),
    );
    say(&format!("{kills:?}, {:?}, {posted} bodies posted", sent.unwrap()));
    let mut wrong = check::events(nodes, firms).await;
    say("every event is there");
    wrong.extend(check::watchers(nodes, &watchers).await);
    closing.cancel();
    for watching in watching {
        watching.await.unwrap();
    }
    let mut heard: BTreeMap<String, usize> = BTreeMap::new();
    for watcher in &watchers {
        for (what, count) in &*watcher.heard.lock().unwrap() {
            *heard.entry(what.clone()).or_default() += count;
        }
    }
    say(&format!("clients have heard {heard:?}"));
    if run.kills > 0 && kills.before_its_commit == 0 {
        wrong.push("no kill came between a checkpoint's files and their commit".to_owned());
    }
    wrong
}

/// Compares with the batch answers, twice: as it is, and after a last kill of all.
async fn compare(nodes: &Nodes, firms: &[Firm], expected: &BTreeMap<usize, Batch>) -> Vec<String> {
    let mut wrong = check::views(nodes, firms, expected).await;
    nodes.all.iter().for_each(nodes::Node::kill);
    nodes.all.iter().for_each(nodes::Node::start);
    nodes.ready().await;
    wrong.extend(check::views(nodes, firms, expected).await);
    wrong.extend(check::dead_letters(nodes, firms).await);
    wrong.extend(nodes.all.iter().flat_map(nodes::Node::errors));
    wrong
}

async fn create(nodes: &Nodes, firms: &[Firm]) {
    let each = stream::iter(firms).for_each_concurrent(16, async |firm| {
        let body = json!({
            "id": firm.id, "name": firm.id, "timezone": "UTC", "currency": "EUR",
            "clock": format!("fixed:{}", firm.first_day),
        });
        nodes.call(Method::POST, "/v1/platform/tenants", None, Some(json_body(&body))).await;
    });
    each.await;
}

/// Gives the tenants their last date while everything else happens.
async fn change_dates(nodes: &Nodes, firms: &[Firm]) {
    for firm in firms.iter().filter(|firm| firm.first_day != firm.last_day) {
        let path = format!("/v1/platform/tenants/{}", firm.id);
        let body = json!({ "clock": format!("fixed:{}", firm.last_day) });
        nodes.call(Method::PATCH, &path, None, Some(json_body(&body))).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn watchers(run: &Run, firms: &[Firm]) -> Vec<Arc<Watcher>> {
    let mut random = run.chance(4);
    let definitions = projections::ViewDefinition::builtin();
    let shown = definitions.iter().filter(|view| !view.internal);
    let views: Vec<String> = shown.map(|view| view.name.clone()).collect();
    let watcher = |(place, firm): (usize, &Firm)| {
        let random = rand::SeedableRng::from_rng(&mut random);
        Arc::new(Watcher::new(place, &firm.id, &views, random))
    };
    firms.iter().take(run.watchers).enumerate().map(watcher).collect()
}
