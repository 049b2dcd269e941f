//! One call on its way, and what is known of it so far.

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{FromRequestParts, Request};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::response::Response;
use chrono::{DateTime, Utc};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::StreamExt;
use hyper::body::{Frame, SizeHint};
use serde_json::{Map, Value, json};
use stream::{Problem, ProblemType, Subscription};
use tenancy::Identity;
use tenancy::audit::{Action, AuditEntry, Chain, Trail, bounded};

use super::signins::SignIns;
use super::{Audit, Kind, Peer, action};
use crate::http::problems;

/// What of an address is recorded.
const OBJECT: usize = 512;
/// What of the end of a header is recorded: whoever passed a call on has written there.
const HEADER: usize = 200;
/// The caller went away before the answer.
const GONE: u16 = 499;

/// One call. All clones are of one call; when the last goes and it was not recorded, the caller has
/// gone away, and that is recorded.
#[derive(Clone)]
pub(in crate::http) struct Trace(Arc<Traced>);

struct Traced {
    trail: Trail,
    kind: Kind,
    route: String,
    at: DateTime<Utc>,
    begun: Instant,
    source: String,
    method: String,
    path: String,
    forwarded_for: Option<String>,
    /// The hash of the header that bears the token.
    token: Option<u64>,
    is_ticket: AtomicBool,
    /// Whoever the newest token speaks for, once it was verified.
    who: Mutex<Option<Arc<Who>>>,
    /// The tenant that the platform acts on.
    about: OnceLock<u32>,
    noted: Mutex<Map<String, Value>>,
    rows: AtomicU64,
    has_rows: AtomicBool,
    bytes: AtomicU64,
    status: AtomicU16,
    /// What the body that is being sent will be recorded as.
    sending: OnceLock<Action>,
    /// Recorded, or not to be.
    is_settled: AtomicBool,
}

/// Who calls.
struct Who {
    identity: Identity,
    /// The number of its tenant, if that is there.
    tenant: Option<u32>,
}

impl Trace {
    pub(super) fn begin(audit: &Audit, kind: Kind, route: &str, request: &Request) -> Self {
        let header = |name: &str| {
            let value = request.headers().get(name)?.to_str().ok()?;
            // It is ASCII.
            Some(value.get(value.len().saturating_sub(HEADER)..)?.to_owned())
        };
        let token = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let peer = request.extensions().get::<Peer>();
        let path: String = request.uri().path().chars().take(OBJECT).collect();
        Self(Arc::new(Traced {
            trail: audit.trail.clone(),
            kind,
            route: route.to_owned(),
            at: Utc::now(),
            begun: Instant::now(),
            source: peer.map(|Peer(address)| address.to_string()).unwrap_or_default(),
            method: request.method().to_string(),
            path,
            forwarded_for: header("x-forwarded-for"),
            token: token.map(|token| audit.signins.hash(token)),
            is_ticket: AtomicBool::new(false),
            who: Mutex::default(),
            about: OnceLock::new(),
            noted: Mutex::default(),
            rows: AtomicU64::new(0),
            has_rows: AtomicBool::new(false),
            bytes: AtomicU64::new(0),
            status: AtomicU16::new(GONE),
            sending: OnceLock::new(),
            is_settled: AtomicBool::new(false),
        }))
    }

    /// Who calls, and the number of its tenant if that is known.
    pub(in crate::http) fn identified(&self, identity: &Identity, tenant: Option<u32>) {
        let who = Who { identity: identity.clone(), tenant };
        self.0.speaks(Some(Arc::new(who)));
    }

    /// Another token is shown on the connection that the call began. Until it is verified nobody is
    /// known: who has shown the one before may be somebody else.
    pub(in crate::http) fn shown_anew(&self) {
        self.0.speaks(None);
    }

    /// The number of the tenant that the platform acts on, in whose chain this is too.
    pub(in crate::http) fn about(&self, tenant: u32) {
        // A call acts on one.
        self.0.about.set(tenant).ok();
    }

    /// The chain of the tenant that the platform acts on.
    pub(super) fn acted_on(&self) -> Option<Chain> {
        self.0.about.get().map(|number| Chain::Tenant(*number))
    }

    /// It was a ticket that said who calls.
    pub(in crate::http) fn redeemed(&self) {
        self.0.is_ticket.store(true, Ordering::Relaxed);
    }

    /// From where the call came, and what it says of where it was before.
    pub(in crate::http) fn origin(&self) -> (Option<IpAddr>, Option<&str>) {
        let address = self.0.source.parse().ok().map(|address: SocketAddr| address.ip());
        (address, self.0.forwarded_for.as_deref())
    }

    /// Another node answers, and records it.
    pub(in crate::http) fn elsewhere(&self) {
        self.0.is_settled.store(true, Ordering::Relaxed);
    }

    /// Something that is to be in the record; of a long value only how it begins, and its hash.
    pub(in crate::http) fn note(&self, name: &str, value: impl Into<Value>) {
        let value = bounded(value.into());
        self.0.noted().insert(name.to_owned(), value);
    }

    /// Rows that were given out.
    pub(in crate::http) fn rows(&self, count: usize) {
        self.0.has_rows.store(true, Ordering::Relaxed);
        self.0.rows.fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(super) fn route(&self) -> &str {
        &self.0.route
    }

    /// Whether it was recorded, or is not to be recorded here; from now on it was.
    pub(super) fn settle(&self) -> bool {
        self.0.is_settled.swap(true, Ordering::Relaxed)
    }

    /// Takes what an answer says; none if it is not to be recorded.
    pub(super) fn answer(&self, response: &Response) -> Option<Action> {
        let Self(traced) = self;
        let status = response.status().as_u16();
        traced.status.store(status, Ordering::Relaxed);
        if let Some(ProblemType(problem)) = response.extensions().get() {
            self.note("problem", problem.as_str());
        }
        let format = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let format = format.map(|text| text.split(';').next().unwrap_or(text).trim());
        let is_rows = matches!(traced.kind, Kind::Read | Kind::Query);
        if let Some(format) = format.filter(|_| is_rows && status < 300) {
            self.note("format", format);
        }
        let is_file = format.is_some_and(|format| {
            !format.ends_with("json") && !matches!(format, "text/event-stream" | "text/plain")
        });
        // Whoever has not said who it is has done nothing yet, but for being refused.
        let is_known = traced.who().is_some();
        let action = action(traced.kind, status, is_file);
        action.filter(|action| is_known || *action == Action::Refusal)
    }

    /// The record that somebody has signed in, if this is the first call that shows it.
    pub(super) fn signed_in(&self, known: &SignIns) -> Option<AuditEntry> {
        let Self(traced) = self;
        let who = traced.who()?;
        let identity = &who.identity;
        let by = if traced.is_ticket.load(Ordering::Relaxed) {
            "ticket"
        } else {
            let token = traced.token?;
            known.is_first(token, identity.expires_at, traced.at).then_some("token")?
        };
        let mut entry = traced.entry(Action::SignIn);
        entry.status = 200;
        entry.detail = traced.caller();
        entry.detail.insert("by".to_owned(), json!(by));
        entry.detail.insert("expires_at".to_owned(), json!(identity.expires_at));
        Some(entry)
    }

    pub(super) fn entry(&self, action: Action) -> AuditEntry {
        self.0.entry(action)
    }

    /// As [`signed_in`](Self::signed_in), of a token that came in a message.
    pub(super) fn signed_in_late(&self, token: &str, known: &SignIns) -> Option<AuditEntry> {
        let ends = self.0.who()?.identity.expires_at;
        let token = known.hash(token);
        known.is_first(token, ends, Utc::now()).then(|| {
            let mut entry = self.now(Action::SignIn, 200);
            entry.detail.insert("by".to_owned(), json!("message"));
            entry.detail.insert("expires_at".to_owned(), json!(ends));
            entry
        })
    }

    /// A token in a message that was not taken.
    pub(super) fn refused(&self, problem: &Problem) -> AuditEntry {
        let mut entry = self.now(Action::Refusal, problem.status.as_u16());
        entry.detail.insert("problem".to_owned(), json!(problem.r#type));
        entry
    }

    /// What a WebSocket asked to follow.
    pub(super) fn subscribed(&self, wanted: &Subscription, is_taken: bool) -> AuditEntry {
        let mut entry = self.now(Action::Subscribe, if is_taken { 200 } else { 400 });
        entry.detail.insert("subscriptions".to_owned(), bounded(json!([wanted.described()])));
        entry
    }

    /// What happens at this moment on a connection that the call began.
    fn now(&self, action: Action, status: u16) -> AuditEntry {
        let mut entry = self.0.entry(action);
        entry.at = Utc::now();
        entry.status = status;
        entry.detail = self.0.caller();
        entry
    }

    /// The answer, to be recorded when its last byte is taken or it breaks off.
    pub(super) fn until_read(&self, action: Action, response: Response) -> Response {
        let Self(traced) = self;
        traced.sending.set(action).ok();
        traced.is_settled.store(false, Ordering::Relaxed);
        self.note("complete", false);
        let trace = self.clone();
        response.map(|body| Body::new(Watched { body, trace }))
    }
}

impl Traced {
    /// Who calls, as far as it is known by now.
    fn who(&self) -> Option<Arc<Who>> {
        self.who.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn speaks(&self, who: Option<Arc<Who>>) {
        *self.who.lock().unwrap_or_else(PoisonError::into_inner) = who;
    }

    fn noted(&self) -> std::sync::MutexGuard<'_, Map<String, Value>> {
        // An insertion leaves the map whole.
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The call. Of one that belongs to no tenant that is there, only its route: what it names may be
    /// data of a tenant that was erased.
    fn object(&self) -> String {
        let is_known =
            self.who().is_some_and(|who| who.identity.tenant.is_none() || who.tenant.is_some());
        format!("{} {}", self.method, if is_known { &self.path } else { &self.route })
    }

    /// What is known of the caller beside its name.
    fn caller(&self) -> Map<String, Value> {
        let mut detail = Map::new();
        if let Some(who) = self.who() {
            detail.insert("roles".to_owned(), json!(who.identity.roles));
            // Of a tenant that is not there the platform should know.
            if let (Some(tenant), None) = (&who.identity.tenant, who.tenant) {
                detail.insert("tenant".to_owned(), json!(tenant));
            }
        }
        if let Some(text) = &self.forwarded_for {
            detail.insert("forwarded_for".to_owned(), json!(text));
        }
        detail
    }

    fn entry(&self, action: Action) -> AuditEntry {
        let mut detail = self.caller();
        detail.extend(self.noted().clone());
        detail.insert("ms".to_owned(), json!(self.begun.elapsed().as_millis() as u64));
        if self.has_rows.load(Ordering::Relaxed) {
            detail.insert("rows".to_owned(), json!(self.rows.load(Ordering::Relaxed)));
        }
        let bytes = self.bytes.load(Ordering::Relaxed);
        if bytes > 0 {
            detail.insert("bytes".to_owned(), json!(bytes));
        }
        let who = self.who();
        let tenant = who.as_ref().and_then(|who| who.tenant);
        AuditEntry {
            chain: tenant.map_or(Chain::Platform, Chain::Tenant),
            at: self.at,
            actor: who.map(|who| who.identity.subject.clone()).unwrap_or_default(),
            source: self.source.clone(),
            action,
            object: self.object(),
            status: self.status.load(Ordering::Relaxed),
            detail,
        }
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        if *self.is_settled.get_mut() {
            return;
        }
        let sending = self.sending.get().copied();
        // Of a caller that never said who it is nothing is known that could be recorded.
        let cut = || self.who().and_then(|_| action(self.kind, GONE, false));
        if let Some(action) = sending.or_else(cut) {
            self.trail.note(self.entry(action));
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Trace {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // Every route with a token has one.
        parts.extensions.get::<Self>().cloned().ok_or_else(problems::internal)
    }
}

/// Whether an answer is there in one piece.
pub(super) fn is_whole(response: &Response) -> bool {
    response.body().size_hint().exact().is_some()
}

/// A body whose end is recorded.
struct Watched {
    body: Body,
    trace: Trace,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        match &polled {
            Poll::Ready(None) => self.trace.note("complete", true),
            Poll::Ready(Some(Ok(frame))) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                self.trace.0.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
            }
            Poll::Ready(Some(Err(_))) | Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The same rows, counted as they are given out.
pub(in crate::http) fn counted(
    batches: SendableRecordBatchStream,
    trace: &Trace,
) -> SendableRecordBatchStream {
    let trace = trace.clone();
    trace.rows(0);
    let schema = batches.schema();
    let counted = batches.inspect(move |batch| {
        if let Ok(batch) = batch {
            trace.rows(batch.num_rows());
        }
    });
    Box::pin(RecordBatchStreamAdapter::new(schema, counted))
}
