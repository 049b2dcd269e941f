//! What is recorded of a call: who asked for what, when, from where, and what came of it.
//!
//! [`record`] stands around the guard and every route with a token. It begins a [`Trace`], which the
//! guard tells who calls and the handlers what they did, and records it: a change before its answer
//! leaves, everything else with it, a long answer at its end. What is recorded follows from method,
//! route and answer ([`kind`]), so a route that comes later is recorded without being named here. A
//! record that cannot be written is no answer: then the call fails.

mod read;
mod refusals;
mod signins;
mod trace;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use stream::{Problem, Subscription};
use tenancy::access::{self, Callers};
use tenancy::audit::{Action, AuditEntry, Chain, Trail};

pub(super) use self::read::{MOST, PAGE, Records, own, platform};
use self::refusals::Refusals;
use self::signins::SignIns;
pub(super) use self::trace::{Trace, counted};
use super::{App, problems};

/// Where a connection comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// What is recorded of calls, and what of them was recorded already.
pub(crate) struct Audit {
    pub(crate) trail: Trail,
    signins: SignIns,
    refusals: Refusals,
}

impl Audit {
    pub(super) fn new(trail: Trail) -> Self {
        Self { trail, signins: SignIns::default(), refusals: Refusals::default() }
    }

    /// Records that the token in a message of a WebSocket was taken, or was not.
    pub(super) async fn admitted(&self, trace: &Trace, token: &str, refusal: Option<&Problem>) {
        let entry = match refusal {
            None => trace.signed_in_late(token, &self.signins),
            Some(problem) => {
                let entry = trace.refused(problem);
                self.refusals.is_first(&entry, trace.route()).then_some(entry)
            }
        };
        if let Some(entry) = entry {
            self.socket(entry).await;
        }
    }

    /// Records that a WebSocket follows something, or was refused it.
    pub(super) async fn subscribed(&self, trace: &Trace, wanted: &Subscription, is_taken: bool) {
        self.socket(trace.subscribed(wanted, is_taken)).await;
    }

    /// A record of what happens on a WebSocket, which waits for room as a call does.
    async fn socket(&self, entry: AuditEntry) {
        if let Err(error) = self.trail.record(entry.clone()).await {
            tracing::warn!(%error, "what a WebSocket did is recorded without waiting");
            self.trail.note(entry);
        }
    }

    /// Records the refusals that were only counted, of those whose time has come; at the end, all.
    pub(crate) fn settle(&self, is_end: bool) {
        for entry in self.refusals.due(is_end) {
            self.trail.note(entry);
        }
    }
}

/// What a call is about, as far as method and route tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Names and settings, and events on their way in: only a refusal is recorded.
    Plain,
    /// Rows or files.
    Read,
    Query,
    Subscribe,
    Change,
    Look,
}

/// What a call is about.
fn kind(method: &str, route: &str) -> Kind {
    match (method, route) {
        ("POST", "/v1/query") => Kind::Query,
        ("GET", "/v1/stream" | "/v1/ws") => Kind::Subscribe,
        ("GET", "/v1/audit") => Kind::Look,
        ("GET", _) if route.starts_with("/v1/platform/") => Kind::Look,
        (
            "GET",
            "/v1/views/{name}"
            | "/v1/views/{name}/explain"
            | "/v1/dead-letters"
            | "/v1/alerts"
            | "/v1/alerts/{id}",
        ) => Kind::Read,
        ("GET", _) if route.contains("/export") => Kind::Read,
        // A ticket is recorded when it is used.
        ("GET", _) | ("POST", "/v1/events" | "/v1/tickets" | "/v1/sign-in") => Kind::Plain,
        _ => Kind::Change,
    }
}

/// What an answer of this kind is recorded as; `is_file` says that it is no JSON.
fn action(kind: Kind, status: u16, is_file: bool) -> Option<Action> {
    match (kind, status) {
        (_, 401 | 403 | 429) => Some(Action::Refusal),
        (Kind::Plain, _) if is_file && status < 300 => Some(Action::Download),
        (Kind::Plain, _) => None,
        (Kind::Read, _) if is_file => Some(Action::Download),
        (Kind::Read, _) => Some(Action::Read),
        (Kind::Query, _) => Some(Action::Query),
        (Kind::Subscribe, _) => Some(Action::Subscribe),
        (Kind::Change, _) => Some(Action::Change),
        (Kind::Look, _) => Some(Action::Look),
    }
}

/// Records a call.
pub(super) async fn record(
    State(app): State<Arc<App>>,
    path: MatchedPath,
    mut request: Request,
    next: Next,
) -> Response {
    let method = if request.method() == "HEAD" { "GET" } else { request.method().as_str() };
    let is_public =
        access::route(method, path.as_str()).is_none_or(|r| r.callers == Callers::Public);
    // What the public may read has no caller.
    if is_public && method == "GET" {
        return next.run(request).await;
    }
    let kind = kind(method, path.as_str());
    let trace = Trace::begin(&app.audit, kind, path.as_str(), &request);
    request.extensions_mut().insert(trace.clone());
    let response = next.run(request).await;
    match answered(&app, &trace, response).await {
        Ok(response) => response,
        Err(error) => problems::audit(error).into_response(),
    }
}

async fn answered(
    app: &App,
    trace: &Trace,
    response: Response,
) -> Result<Response, tenancy::audit::TrailError> {
    if trace.settle() {
        return Ok(response);
    }
    let action = trace.answer(&response);
    let audit = &app.audit;
    if let Some(signed_in) = trace.signed_in(&audit.signins) {
        audit.trail.record(signed_in).await?;
    }
    let Some(action) = action else { return Ok(response) };
    match action {
        Action::Refusal => {
            let entry = trace.entry(action);
            if audit.refusals.is_first(&entry, trace.route()) {
                audit.trail.record(entry).await?;
            }
        }
        // What was changed is so also where the answer says that something behind it failed.
        Action::Change if response.status().is_success() || trace.acted_on().is_some() => {
            for entry in changes(trace, trace.entry(action)) {
                audit.trail.keep(entry).await?;
            }
        }
        // Before anything is told.
        Action::Look => audit.trail.keep(trace.entry(action)).await?,
        Action::Query | Action::Read | Action::Download if !trace::is_whole(&response) => {
            return Ok(trace.until_read(action, response));
        }
        _ => audit.trail.record(trace.entry(action)).await?,
    }
    Ok(response)
}

/// A change; one that the platform has made to a tenant is in both their chains.
fn changes(trace: &Trace, entry: AuditEntry) -> Vec<AuditEntry> {
    let chain = trace.acted_on().filter(|_| entry.chain == Chain::Platform);
    let same = chain.map(|chain| AuditEntry { chain, ..entry.clone() });
    [Some(entry), same].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests;
