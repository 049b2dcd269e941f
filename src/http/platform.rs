//! `GET /v1/platform/overview`: all tenants at a glance, for the operators of the platform.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, Request, StatusCode};
use chrono::{DateTime, Utc};
use projections::Tenant;
use serde::{Deserialize, Serialize};
use stream::Problem;
use tenancy::{TenantId, TenantRecord};
use utoipa::ToSchema;

use super::caller::Operator;
use super::params::Params;
use super::{App, problems};
use crate::forward::{Exchange, Served, is_forwarded};

/// Over how long a rate is taken, and how often what it is taken from is noted.
const WINDOW: Duration = Duration::from_mins(1);
const STEP: Duration = Duration::from_secs(5);
/// What is read of another node's answer: some hundred bytes a tenant.
const ANSWER_BYTES: usize = 64 << 20;
/// For another node to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many events tenants had in the last minute. Cheap to ask; bounded by the number of tenants.
#[derive(Default)]
pub(super) struct Rates {
    noted: Mutex<HashMap<u32, VecDeque<(Instant, u64)>>>,
}

impl Rates {
    /// Notes how far tenants have come; those that are not named any more are forgotten.
    fn note(&self, now: Instant, come: impl Iterator<Item = (u32, u64)>) {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        let mut before = std::mem::take(&mut *noted);
        for (tenant, sequence) in come {
            let mut course = before.remove(&tenant).unwrap_or_default();
            while course.front().is_some_and(|(at, _)| now.duration_since(*at) > WINDOW) {
                course.pop_front();
            }
            course.push_back((now, sequence));
            noted.insert(tenant, course);
        }
    }

    /// Events per second of the last minute, or of as much of it as is known.
    fn of(&self, tenant: u32, now: Instant, sequence: u64) -> f64 {
        let noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((at, from)) = noted.get(&tenant).and_then(|course| course.front()) else {
            return 0.0;
        };
        let seconds = now.duration_since(*at).as_secs_f64();
        if seconds <= 0.0 { 0.0 } else { sequence.saturating_sub(*from) as f64 / seconds }
    }
}

/// Notes what rates are taken from, for as long as it is polled.
pub(crate) async fn note_rates(app: &App) {
    let mut period = tokio::time::interval(STEP);
    loop {
        period.tick().await;
        let Ok(intake) = app.intake() else { continue };
        let served = app.directory.all().into_iter().filter(|tenant| app.serves(&tenant.id));
        let come = served.map(|t| (t.number, intake.taken(Tenant(t.number))));
        app.rates.note(Instant::now(), come);
    }
}

/// All tenants of all nodes, and what they come to together.
#[derive(Serialize, Deserialize, ToSchema)]
pub(super) struct Overview {
    at: DateTime<Utc>,
    totals: Totals,
    nodes: Vec<Node>,
    tenants: Vec<Line>,
}

/// What all tenants come to.
#[derive(Default, Serialize, Deserialize, ToSchema)]
#[schema(as = OverviewTotals)]
struct Totals {
    tenants: usize,
    events: u64,
    events_per_second: f64,
    lag: u64,
    failed: usize,
    dead_letters: u64,
    memory_bytes: u64,
    history_bytes: u64,
}

/// A node, and whether it answered.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = OverviewNode)]
struct Node {
    address: String,
    reachable: bool,
    tenants: usize,
}

/// One tenant.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = OverviewTenant)]
struct Line {
    #[schema(value_type = String)]
    id: TenantId,
    name: String,
    state: Condition,
    /// The address of the node that serves it; none if no node does at the moment.
    node: Option<String>,
    /// Events and dates that were taken in.
    events: u64,
    events_per_second: f64,
    /// Of these, those that are not in the views yet.
    lag: u64,
    /// The newest time that an event of it bears.
    newest_event: Option<DateTime<Utc>>,
    views: usize,
    filling: usize,
    failed_views: Vec<String>,
    dead_letters: u64,
    memory_bytes: u64,
    /// Its share of its partition's files, by the number of its events.
    history_bytes: u64,
}

/// How a tenant is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = TenantCondition)]
enum Condition {
    /// All is well.
    Live,
    /// Own views are being filled.
    Filling,
    /// Some view cannot be computed.
    Failed,
    /// What its template gives is still to come.
    Onboarding,
    /// No node serves it at the moment, or the one that does has not answered.
    Unserved,
    /// It is deleted, and its data is being erased.
    Deleting,
}

/// What is there and how it does, across all nodes. Another node that asks gets what is served here.
pub(super) async fn overview(
    State(app): State<Arc<App>>,
    _: Operator,
    params: Params,
    headers: HeaderMap,
) -> Result<Json<Overview>, Problem> {
    params.finish("")?;
    let letters = app.store.dead_letters_by_tenant().await.map_err(|e| problems::store(&e))?;
    let mut lines: BTreeMap<TenantId, Line> = BTreeMap::new();
    let shares = Shares::of(&app);
    for tenant in app.directory.all().iter().filter(|tenant| app.serves(&tenant.id)) {
        lines.insert(tenant.id.clone(), line(&app, tenant, &letters, &shares)?);
    }
    let mut nodes = vec![Node { address: here(&headers), reachable: true, tenants: lines.len() }];
    if !is_forwarded(&headers) {
        lines.values_mut().for_each(|line| line.node = Some(here(&headers)));
        for (address, found) in others(&app, &headers).await {
            let tenants = found.as_ref().map_or(0, Vec::len);
            let reachable = found.is_some();
            for mut line in found.into_iter().flatten() {
                line.node = Some(address.clone());
                lines.insert(line.id.clone(), line);
            }
            nodes.push(Node { address, reachable, tenants });
        }
        for tenant in app.directory.all() {
            lines.entry(tenant.id.clone()).or_insert_with(|| unserved(&tenant, &letters));
        }
        for stone in app.directory.tombstones() {
            if stone.erased_at.is_none() {
                lines.insert(stone.id.clone(), deleting(&stone.id));
            }
        }
    }
    let tenants: Vec<Line> = lines.into_values().collect();
    Ok(Json(Overview { at: Utc::now(), totals: Totals::of(&tenants), nodes, tenants }))
}

/// The address by which this node was asked.
fn here(headers: &HeaderMap) -> String {
    let host = headers.get("host").and_then(|host| host.to_str().ok());
    host.unwrap_or("this node").to_owned()
}

/// How many bytes of history an event has, by partition.
struct Shares {
    by_partition: HashMap<u32, f64>,
}

impl Shares {
    fn of(app: &App) -> Self {
        let mut by_partition = HashMap::new();
        for tenant in app.directory.all().iter().filter(|tenant| app.serves(&tenant.id)) {
            let partition = app.places().partition(&tenant.id);
            by_partition.entry(partition).or_insert_with(|| {
                let Some(accepted) = app.history.of(Tenant(tenant.number)) else { return 0.0 };
                let files = accepted.files();
                let rows: u64 = files.iter().map(|file| file.rows).sum();
                let bytes: u64 = files.iter().map(|file| file.bytes).sum();
                if rows == 0 { 0.0 } else { bytes as f64 / rows as f64 }
            });
        }
        Self { by_partition }
    }
}

fn line(
    app: &App,
    tenant: &TenantRecord,
    letters: &HashMap<u32, u64>,
    shares: &Shares,
) -> Result<Line, Problem> {
    let (number, intake) = (Tenant(tenant.number), app.intake()?);
    // Not the other way round: what is in the views has been taken in.
    let snapshot = app.readers.snapshot(number);
    let (sequence, events) = (intake.sequence(number), intake.taken(number));
    let own = app.own_views.all(number);
    let mut failed: BTreeSet<String> = own
        .iter()
        .filter(|view| view.state == "failed")
        .map(|view| view.definition.name.clone())
        .collect();
    let views = snapshot.views().iter().filter(|view| view.failure().is_some());
    failed.extend(views.map(|view| view.view().name().to_owned()));
    let filling = own.iter().filter(|view| view.state == "filling").count();
    let state = if tenant.template.is_some() {
        Condition::Onboarding
    } else if !failed.is_empty() {
        Condition::Failed
    } else if filling > 0 {
        Condition::Filling
    } else {
        Condition::Live
    };
    let share = shares.by_partition.get(&app.places().partition(&tenant.id)).copied();
    Ok(Line {
        id: tenant.id.clone(),
        name: tenant.name.clone(),
        state,
        node: None,
        events,
        events_per_second: rounded(app.rates.of(tenant.number, Instant::now(), events)),
        lag: sequence.saturating_sub(snapshot.position().sequence),
        newest_event: intake.newest_event(number),
        views: snapshot.views().len(),
        filling,
        failed_views: failed.into_iter().collect(),
        dead_letters: letters.get(&tenant.number).copied().unwrap_or(0),
        memory_bytes: snapshot.bytes() as u64,
        history_bytes: (share.unwrap_or(0.0) * events as f64) as u64,
    })
}

/// To three places: a rate is no more exact.
fn rounded(rate: f64) -> f64 {
    (rate * 1000.0).round() / 1000.0
}

fn unserved(tenant: &TenantRecord, letters: &HashMap<u32, u64>) -> Line {
    let dead_letters = letters.get(&tenant.number).copied().unwrap_or(0);
    Line { name: tenant.name.clone(), dead_letters, ..bare(&tenant.id, Condition::Unserved) }
}

/// What it was called is nobody's business any more.
fn deleting(id: &TenantId) -> Line {
    bare(id, Condition::Deleting)
}

fn bare(id: &TenantId, state: Condition) -> Line {
    Line {
        id: id.clone(),
        name: String::new(),
        state,
        node: None,
        events: 0,
        events_per_second: 0.0,
        lag: 0,
        newest_event: None,
        views: 0,
        filling: 0,
        failed_views: Vec::new(),
        dead_letters: 0,
        memory_bytes: 0,
        history_bytes: 0,
    }
}

/// What each other node serves; none of one that does not answer. The caller's own token goes along.
async fn others(app: &App, headers: &HeaderMap) -> Vec<(String, Option<Vec<Line>>)> {
    let mut at: BTreeMap<Arc<str>, u32> = BTreeMap::new();
    for partition in 0..app.places().partitions() {
        if let Served::At(address) = app.places().of_partition(partition) {
            at.entry(address).or_insert(partition);
        }
    }
    let asked = at.into_iter().map(|(address, partition)| async move {
        let found = tokio::time::timeout(PATIENCE, ask(app, partition, headers)).await;
        (address.to_string(), found.ok().flatten())
    });
    futures::future::join_all(asked).await
}

async fn ask(app: &App, partition: u32, headers: &HeaderMap) -> Option<Vec<Line>> {
    let mut request = Request::get("/v1/platform/overview").body(Body::empty()).ok()?;
    request.headers_mut().insert(AUTHORIZATION, headers.get(AUTHORIZATION)?.clone());
    let answer = match app.forwarder.exchange(partition, request).await {
        Ok(Exchange::Answered(answer)) => answer.streamed(app.hub.ended()),
        Ok(Exchange::Here(_)) => return None,
        Err(error) => {
            tracing::debug!(%error, partition, "a node does not say how it does");
            return None;
        }
    };
    if answer.status() != StatusCode::OK {
        return None;
    }
    let body = to_bytes(answer.into_body(), ANSWER_BYTES).await.ok()?;
    serde_json::from_slice::<Overview>(&body).ok().map(|overview| overview.tenants)
}

impl Totals {
    fn of(tenants: &[Line]) -> Self {
        let mut totals = Self { tenants: tenants.len(), ..Self::default() };
        for line in tenants {
            totals.events += line.events;
            totals.events_per_second += line.events_per_second;
            totals.lag += line.lag;
            totals.failed += usize::from(line.state == Condition::Failed);
            totals.dead_letters += line.dead_letters;
            totals.memory_bytes += line.memory_bytes;
            totals.history_bytes += line.history_bytes;
        }
        totals.events_per_second = rounded(totals.events_per_second);
        totals
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_that_of_the_last_minute() {
        let (rates, begin) = (Rates::default(), Instant::now());
        let at = |seconds| begin + Duration::from_secs(seconds);
        assert!(rates.of(1, begin, 100).abs() < 1e-9);
        for second in (0..=120_u64).step_by(5) {
            // Ten a second in the first minute, two in the second.
            let come = if second <= 60 { 10 * second } else { 600 + 2 * (second - 60) };
            rates.note(at(second), [(1, come)].into_iter());
            if second == 60 {
                assert!((rates.of(1, at(60), 600) - 10.0).abs() < 1e-9);
            }
        }
        assert!((rates.of(1, at(120), 720) - 2.0).abs() < 1e-9);
        // Who is served elsewhere now is forgotten.
        rates.note(at(125), std::iter::empty());
        assert!(rates.of(1, at(125), 720).abs() < 1e-9);
        assert!(rates.noted.lock().is_ok_and(|noted| noted.is_empty()));
    }
}
