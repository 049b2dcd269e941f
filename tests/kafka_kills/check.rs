//! What must be so in the end.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use reqwest::Method;
use serde_json::{Value, json};

use crate::cloud_events::in_order;
use crate::firms::{Firm, types};
use crate::held::{Rows, counted};
use crate::nodes::{Nodes, PATIENCE, json_body};
use crate::oracle::Oracle;
use crate::watchers::Watcher;

/// Questions at once.
const AT_ONCE: usize = 8;
/// Before something that is not there yet is asked for again.
const AGAIN: Duration = Duration::from_millis(250);

/// The rows that DataFusion answers with for each view of a firm.
pub(crate) type Batch = BTreeMap<String, Vec<String>>;

/// The batch answers over all facts of each of these firms. Blocks, for long.
pub(crate) fn batch_answers(firms: &[Firm], sample: &[usize]) -> BTreeMap<usize, Batch> {
    let views = projections::ViewDefinition::builtin();
    let shown: Vec<String> =
        views.iter().filter(|view| !view.internal).map(|view| view.name.clone()).collect();
    let oracle = Oracle::new(views);
    let of = |place: &usize| {
        let firm = &firms[*place];
        let facts: Vec<_> = firm.facts.iter().collect();
        let answers = oracle.answers(&facts, Some(firm.last_day));
        let rows = shown.iter().map(|view| (view.clone(), answers[view].rows())).collect();
        (*place, rows)
    };
    sample.iter().map(of).collect()
}

/// Waits until every firm has all its events, by their ids, of whatever type; answers which have
/// others, or some twice, or too few for too long.
pub(crate) async fn events(nodes: &Nodes, firms: &[Firm]) -> Vec<String> {
    let each =
        types().into_iter().map(|kind| format!("SELECT '{kind}', event_id FROM events.\"{kind}\""));
    let body = json_body(&json!({ "sql": each.collect::<Vec<_>>().join(" UNION ALL ") }));
    let asked = Instant::now();
    let of_firm = async |firm: &Firm| {
        let row = |fact: &crate::history::Fact| json!([fact.kind.name(), fact.id]).to_string();
        let expected = counted(firm.facts.iter().map(row));
        loop {
            let answer =
                nodes.call(Method::POST, "/v1/query", Some(&firm.id), Some(body.clone())).await;
            let rows = counted(answer["rows"].as_array().unwrap().iter().map(Value::to_string));
            if rows == expected {
                return None;
            }
            let wrong: Vec<_> =
                rows.iter().filter(|(row, count)| expected.get(*row) < Some(count)).collect();
            if !wrong.is_empty() {
                return Some(format!("{} has {wrong:?}", firm.id));
            }
            if asked.elapsed() > PATIENCE {
                let missing: Vec<&String> =
                    expected.keys().filter(|row| !rows.contains_key(*row)).collect();
                return Some(format!("{} does not have {missing:?}", firm.id));
            }
            tokio::time::sleep(AGAIN).await;
        }
    };
    let answers = stream::iter(firms).map(of_firm).buffer_unordered(AT_ONCE);
    answers.filter_map(async |wrong| wrong).collect().await
}

/// Compares every view of these firms with the batch answer.
pub(crate) async fn views(
    nodes: &Nodes,
    firms: &[Firm],
    expected: &BTreeMap<usize, Batch>,
) -> Vec<String> {
    let all = expected.iter().flat_map(|(place, batch)| {
        batch.iter().map(move |(view, rows)| (&firms[*place], view, rows))
    });
    let of_view = async |(firm, view, expected): (&Firm, &String, &Vec<String>)| {
        let path = format!("/v1/views/{view}?limit=100000");
        let held = in_order(&nodes.get(&path, Some(&firm.id)).await);
        let differs = || {
            let (id, today) = (&firm.id, firm.last_day);
            format!("{view} of {id} on {today}:\n reads    {held:#?}\n expected {expected:#?}")
        };
        (held != *expected).then(differs)
    };
    let answers = stream::iter(all).map(of_view).buffer_unordered(AT_ONCE);
    answers.filter_map(async |wrong| wrong).collect().await
}

/// Waits until each watcher holds what its views read.
pub(crate) async fn watchers(nodes: &Nodes, watchers: &[std::sync::Arc<Watcher>]) -> Vec<String> {
    let asked = Instant::now();
    let mut wrong = Vec::new();
    for watcher in watchers {
        for view in &watcher.views {
            let path = format!("/v1/views/{view}?limit=100000");
            let read = nodes.get(&path, Some(&watcher.tenant)).await;
            let read: Rows = counted(read["rows"].as_array().unwrap().iter().map(Value::to_string));
            while !watcher.holds(view, &read) {
                if let Some(broken) = watcher.broken.lock().unwrap().clone() {
                    wrong.push(broken);
                    break;
                }
                if asked.elapsed() > PATIENCE / 4 {
                    let (tenant, held) = (&watcher.tenant, watcher.shown(view));
                    wrong.push(format!("{view} of {tenant}: holds {held}, reads {read:?}"));
                    break;
                }
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
    wrong
}

/// Looks for dead letters.
pub(crate) async fn dead_letters(nodes: &Nodes, firms: &[Firm]) -> Vec<String> {
    let of_firm = async |firm: &Firm| {
        (firm.id.clone(), nodes.get("/v1/dead-letters?limit=1", Some(&firm.id)).await)
    };
    let mut lists: Vec<(String, Value)> =
        stream::iter(firms).map(of_firm).buffer_unordered(AT_ONCE).collect().await;
    let shared = nodes.get("/v1/platform/dead-letters?limit=1", None).await;
    lists.push(("the platform".to_owned(), shared));
    let some = |(_, list): &(String, Value)| list["dead_letters"] != json!([]);
    lists.into_iter().filter(some).map(|(of, list)| format!("{of}: {list}")).collect()
}
