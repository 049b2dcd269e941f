//! Who calls: the one way by which a tenant gets into a handler.

use std::sync::Arc;

use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use chrono::Utc;
use projections::Tenant;
use stream::{Problem, Viewer};
use tenancy::access::{self, Access, Callers, Credentials, Route};
use tenancy::{Identity, TenantRecord, Tickets};

use super::audit::Trace;
use super::forwarded::{self, Passed};
use super::limits::Seated;
use super::params::Params;
use super::strangers::{self, Stranger};
use super::{App, problems};
use crate::forward::ForwardError;

/// The call whose token may come in its first message.
const LATE: (&str, &str) = ("GET", "/v1/ws");
/// The call that whoever follows SQL must be allowed.
const ASK: (&str, &str) = ("POST", "/v1/query");

/// A caller of a tenant: who, and the tenant of the token. Only [`guard`] makes one.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    /// Subject, roles and expiry.
    pub(super) identity: Identity,
    /// The tenant of the token.
    pub(super) tenant: Arc<TenantRecord>,
    /// How many secrets and keys were withdrawn when the token was checked.
    pub(super) withdrawals: u64,
}

impl Caller {
    /// The tenant's number.
    pub(super) fn number(&self) -> Tenant {
        Tenant(self.tenant.number)
    }

    /// The caller as a reader of live views.
    pub(super) fn viewer(&self) -> Viewer {
        Viewer {
            tenant: self.number(),
            tenant_id: self.tenant.id.to_string(),
            expires_at: self.identity.expires_at,
            asking: self.asking(),
        }
    }

    /// Whether the caller may follow SQL: as far as it may ask it.
    fn asking(&self) -> Result<(), Problem> {
        let ((method, path), roles) = (ASK, self.identity.roles);
        match access::allowed(method, path, &roles) {
            Access::Public | Access::Granted => Ok(()),
            Access::Refused | Access::Unknown => Err(problems::forbidden(method, path, roles)),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // Only a route of the platform or a public one has none, and their handlers ask for none.
        parts.extensions.get::<Self>().cloned().ok_or_else(problems::internal)
    }
}

/// A caller that may come later: a WebSocket whose token comes in its first message.
pub(super) struct LateCaller(pub(super) Option<Caller>);

impl<S: Send + Sync> FromRequestParts<S> for LateCaller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(Self(parts.extensions.get::<Caller>().cloned()))
    }
}

/// What a request shows of its caller.
enum Credential {
    /// A token.
    Token(String),
    /// A ticket, and the partition that it names.
    Ticket(String, u32),
    /// Nothing yet: a WebSocket, which says it in its first message.
    Later,
}

/// Who calls, as far as it is known before it is known where its tenant is served.
enum Known {
    /// One of a tenant; none for the platform's and for a WebSocket that has not said who it is.
    Caller(Option<Caller>),
    /// Whoever got a ticket, which can be redeemed where its partition is served and nowhere else.
    Ticket(String, u32),
}

impl Known {
    /// The partition of the caller's tenant.
    fn partition(&self, app: &App) -> Option<u32> {
        match self {
            Self::Caller(caller) => {
                caller.as_ref().map(|caller| app.places().partition(&caller.tenant.id))
            }
            Self::Ticket(_, partition) => Some(*partition),
        }
    }
}

/// Lets a request through if the table of routes gives its caller the right, and puts the
/// [`Caller`] into it. A route that is not in the table is never reached. A request whose tenant
/// another node serves is answered by that one.
pub(super) async fn guard(
    State(app): State<Arc<App>>,
    path: MatchedPath,
    mut request: Request,
    next: Next,
) -> Response {
    let Some(route) = access::route(request.method().as_str(), path.as_str()) else {
        return problems::method_not_allowed(
            request.method(),
            path.as_str(),
            &allow(path.as_str()),
        );
    };
    if route.callers == Callers::Public {
        return next.run(request).await;
    }
    let trace = request.extensions().get::<Trace>().cloned();
    let shown = match credential(route.credentials, &request) {
        Ok(shown) => shown,
        Err(problem) => return problem.into_response(),
    };
    let is_token = matches!(shown, Credential::Token(_));
    let known = match known(&app, route, shown, trace.as_ref()).await {
        Ok(known) => known,
        Err(problem) => return problem.into_response(),
    };
    if is_token {
        strangers::let_in(request.extensions());
    }
    if let Some(partition) = known.partition(&app) {
        let is_socket = (route.method, route.path) == LATE;
        let stranger = request.extensions().get::<Stranger>().cloned();
        request = match forwarded::pass(&app, partition, is_socket, request).await {
            Passed::Here(request) => request,
            Passed::Answered(answer) => {
                if let Some(trace) = &trace {
                    trace.elsewhere();
                }
                // A ticket that the other node has taken.
                let is_taken = answer.status().is_success()
                    || answer.status() == StatusCode::SWITCHING_PROTOCOLS;
                if let Some(stranger) = stranger.filter(|_| is_taken) {
                    stranger.let_in();
                }
                return answer;
            }
        };
    }
    match admit(&app, route, known, trace.as_ref()).await {
        Ok(Some(caller)) => {
            app.reports.seen(caller.tenant.number, &caller.identity);
            let seat = match Seated::enter(&app, route, &caller) {
                Ok(seat) => seat,
                Err(exceeded) => return problems::exceeded(&exceeded),
            };
            strangers::let_in(request.extensions());
            request.extensions_mut().insert(caller);
            request.extensions_mut().insert(seat.clone());
            let request = seat.charged(request);
            seat.until_sent(next.run(request).await)
        }
        Ok(None) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

/// Checks who calls, but for a ticket.
async fn known(
    app: &App,
    route: &Route,
    shown: Credential,
    trace: Option<&Trace>,
) -> Result<Known, Problem> {
    match shown {
        Credential::Token(token) => {
            let shown = Shown::token(app, &token).await?;
            authorize(app, route.method, route.path, shown, trace).await.map(Known::Caller)
        }
        Credential::Ticket(ticket, partition) => Ok(Known::Ticket(ticket, partition)),
        Credential::Later => Ok(Known::Caller(None)),
    }
}

/// The caller of a request that is served here.
async fn admit(
    app: &App,
    route: &Route,
    known: Known,
    trace: Option<&Trace>,
) -> Result<Option<Caller>, Problem> {
    let caller = match known {
        Known::Caller(caller) => caller,
        Known::Ticket(ticket, _) => {
            let withdrawals = app.verifier.withdrawals();
            let identity = app.tickets.redeem(&ticket, Utc::now()).ok_or_else(problems::ticket)?;
            app.has_signed_in(&identity).await?;
            if let Some(trace) = trace {
                trace.redeemed();
            }
            let shown = Shown { identity, withdrawals };
            authorize(app, route.method, route.path, shown, trace).await?
        }
    };
    // After the caller is known: nobody else learns that the service is starting.
    let intake = app.intake()?;
    if let Some(caller) = &caller
        && !intake.is_read(&caller.tenant.id)
    {
        let is_here = app.serves(&caller.tenant.id);
        let handed_over = || problems::forward(ForwardError::Unserved);
        return Err(if is_here { problems::stopped() } else { handed_over() });
    }
    Ok(caller)
}

/// An identity, and how many secrets and keys were withdrawn when it was shown.
struct Shown {
    identity: Identity,
    withdrawals: u64,
}

impl Shown {
    /// That of a token.
    async fn token(app: &App, token: &str) -> Result<Self, Problem> {
        // First: what is withdrawn from here on may be what the token holds by.
        let withdrawals = app.verifier.withdrawals();
        Ok(Self { identity: app.identify(token).await?, withdrawals })
    }
}

/// Checks roles and tenant of an identity for a route.
async fn authorize(
    app: &App,
    method: &str,
    path: &str,
    Shown { identity, withdrawals }: Shown,
    trace: Option<&Trace>,
) -> Result<Option<Caller>, Problem> {
    // Before the role is looked at: a refusal is in the chain of the tenant whose token it was.
    let known = identity.tenant.as_ref().and_then(|id| app.directory.get(id));
    if let Some(trace) = trace {
        trace.identified(&identity, known.map(|tenant| tenant.number));
    }
    match access::allowed(method, path, &identity.roles) {
        Access::Public | Access::Granted => {}
        Access::Refused | Access::Unknown => {
            return Err(problems::forbidden(method, path, identity.roles));
        }
    }
    let Some(id) = &identity.tenant else { return Ok(None) };
    let tenant = app.tenant(id).await?.ok_or_else(problems::unknown_tenant)?;
    if let Some(trace) = trace {
        trace.identified(&identity, Some(tenant.number));
    }
    Ok(Some(Caller { identity, tenant, withdrawals }))
}

/// The caller of a token given in a message rather than a header, with a seat.
pub(super) async fn admit_late(
    app: &App,
    token: &str,
    trace: &Trace,
) -> Result<(Caller, Seated), Problem> {
    let (method, path) = LATE;
    // What is recorded from here on, a refusal too, is of this token.
    trace.shown_anew();
    let shown = Shown::token(app, token).await?;
    let caller = authorize(app, method, path, shown, Some(trace)).await?;
    let caller = caller.ok_or_else(problems::unknown_tenant)?;
    let route = access::route(method, path).ok_or_else(problems::internal)?;
    let seat = Seated::enter(app, route, &caller).map_err(|e| problems::exhausted(&e))?;
    Ok((caller, seat))
}

/// The token by header, or a ticket where the route takes one.
fn credential(credentials: Credentials, request: &Request) -> Result<Credential, Problem> {
    if let Some(token) = bearer(request.headers())? {
        return Ok(Credential::Token(token.to_owned()));
    }
    let may_come_later = match credentials {
        Credentials::None | Credentials::Bearer => return Err(problems::no_token(credentials)),
        Credentials::BearerOrTicket => false,
        Credentials::BearerTicketOrMessage => true,
    };
    match Params::of(request.uri())?.one("ticket")? {
        Some(ticket) => {
            let partition = Tickets::partition(&ticket).ok_or_else(problems::ticket)?;
            Ok(Credential::Ticket(ticket, partition))
        }
        None if may_come_later => Ok(Credential::Later),
        None => Err(problems::no_token(credentials)),
    }
}

fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(problems::authorization());
    }
    let text = value.to_str().map_err(|_| problems::authorization())?;
    match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(Some(token.trim())),
        _ => Err(problems::authorization()),
    }
}

/// Who calls a route of the platform, as its token says.
pub(super) struct Operator(pub(super) String);

impl FromRequestParts<Arc<App>> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let token = bearer(&parts.headers)?;
        let token = token.ok_or_else(|| problems::no_token(Credentials::Bearer))?;
        Ok(Self(app.identify(token).await?.subject))
    }
}

/// The methods a path has.
fn allow(path: &str) -> String {
    let methods: Vec<&str> = access::ROUTES
        .iter()
        .filter(|route| route.path == path)
        .map(|route| route.method)
        .collect();
    methods.join(", ")
}
