//! `GET /v1/stream`, `GET /v1/ws`, `POST /v1/tickets`: into the crate `stream` and out.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use chrono::Utc;
use futures::future::BoxFuture;
use stream::{Door, Far, Problem, Subscription, Viewer};
use tenancy::TenantId;

use super::audit::Trace;
use super::caller::{Caller, LateCaller, admit_late};
use super::limits::{LateSeat, Seated};
use super::params::Params;
use super::strangers::Stranger;
use super::{App, forwarded, problems};
use crate::forward::ForwardError;

/// Server-Sent Events of the subscriptions in `sub`.
pub(super) async fn events(
    State(app): State<Arc<App>>,
    caller: Caller,
    trace: Trace,
    mut params: Params,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    params.one("ticket")?;
    let subs = params.all("sub");
    params.finish("sub and ticket")?;
    if subs.is_empty() {
        return Err(problems::parameter(
            "sub",
            "it is missing; give at least one subscription, such as \
             ?sub={\"id\":\"a\",\"view\":\"ar_aging\"}, URL-encoded",
        ));
    }
    let subs = subs
        .iter()
        .map(|text| Subscription::parse(text))
        .collect::<Result<Vec<Subscription>, Problem>>()?;
    trace.note("subscriptions", subs.iter().map(Subscription::described).collect::<Vec<_>>());
    let answer = stream::sse(&app.hub, caller.viewer(), subs, &headers);
    // After it has its seat: it may have come while the tenant was being handed over or deleted, or
    // with a token that held just before.
    if app.may_follow(&caller) {
        Ok(answer)
    } else {
        Err(problems::forward(ForwardError::Unserved))
    }
}

/// A WebSocket; its caller is known by header or ticket, or says who it is in its first message.
pub(super) async fn websocket(
    State(app): State<Arc<App>>,
    LateCaller(caller): LateCaller,
    LateSeat(seat): LateSeat,
    stranger: Option<Extension<Stranger>>,
    trace: Trace,
    mut params: Params,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    params.one("ticket")?;
    params.finish("ticket")?;
    let upgrade = upgrade.map_err(|error| problems::plain(error.status(), &error.body_text()))?;
    let viewer = caller.as_ref().map(Caller::viewer);
    let caller = Mutex::new(caller);
    let (hub, seat) = (app.hub.clone(), seat.map(OnceLock::from).unwrap_or_default());
    let stranger = stranger.map(|Extension(stranger)| stranger);
    let door = Arc::new(TokenDoor { app, trace, stranger, caller, seat });
    Ok(stream::upgrade(hub, door, viewer, upgrade))
}

/// Admits those who present their token in a message, tells who is served here, and records what
/// they follow.
struct TokenDoor {
    app: Arc<App>,
    /// Of the handshake, by whoever has shown the newest token.
    trace: Trace,
    /// Until somebody is let in, the socket counts as its address' own.
    stranger: Option<Stranger>,
    /// Who was let in by the newest token.
    caller: Mutex<Option<Caller>>,
    /// Given back when the socket ends, and this with it.
    seat: OnceLock<Seated>,
}

impl Door for TokenDoor {
    fn admit<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<Viewer, Problem>> {
        Box::pin(async move {
            let admitted = admit_late(&self.app, token, &self.trace).await;
            self.app.audit.admitted(&self.trace, token, admitted.as_ref().err()).await;
            let (caller, seat) = admitted?;
            if let Some(stranger) = &self.stranger {
                stranger.let_in();
            }
            let viewer = caller.viewer();
            *self.caller.lock().unwrap_or_else(PoisonError::into_inner) = Some(caller);
            // A token that renews another one has the seat of that.
            self.seat.set(seat).ok();
            Ok(viewer)
        })
    }

    fn elsewhere<'a>(
        &'a self,
        viewer: &'a Viewer,
        token: &'a str,
    ) -> BoxFuture<'a, Result<Option<Far>, Problem>> {
        Box::pin(async move {
            let app = &self.app;
            let id: TenantId = viewer.tenant_id.parse().map_err(|_| problems::unknown_tenant())?;
            forwarded::far(app, app.places().partition(&id), token, &self.trace).await
        })
    }

    fn serves(&self, _: &Viewer) -> bool {
        let caller = self.caller.lock().unwrap_or_else(PoisonError::into_inner);
        caller.as_ref().is_some_and(|caller| self.app.may_follow(caller))
    }

    fn heard(&self) -> Result<(), Problem> {
        let seat = self.seat.get();
        seat.map_or(Ok(()), |seat| seat.heard().map_err(|exceeded| problems::exhausted(&exceeded)))
    }

    fn subscribed<'a>(&'a self, wanted: &'a Subscription, is_taken: bool) -> BoxFuture<'a, ()> {
        Box::pin(self.app.audit.subscribed(&self.trace, wanted, is_taken))
    }
}

/// A ticket for one of the two calls above.
pub(super) async fn ticket(
    State(app): State<Arc<App>>,
    caller: Caller,
    params: Params,
) -> Result<Response, Problem> {
    params.finish("")?;
    let partition = app.places().partition(&caller.tenant.id);
    let ticket = app.tickets.issue(partition, caller.identity, Utc::now());
    let ticket = ticket.map_err(problems::no_ticket)?;
    // After it is there: those that were there before are voided with what their tokens held by.
    if app.verifier.withdrawals() != caller.withdrawals {
        return Err(problems::forward(ForwardError::Unserved));
    }
    Ok((StatusCode::CREATED, Json(ticket)).into_response())
}
