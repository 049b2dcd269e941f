//! Requests of tenants that another node serves, and the answers it gives.

use axum::body::to_bytes;
use axum::extract::{FromRequestParts, Request, WebSocketUpgrade};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderValue, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};
use stream::{Far, Problem};

use super::audit::{Peer, Trace};
use super::{App, problems};
use crate::forward::{
    CameFrom, Connected, Exchange, FORWARDED_FOR, ForwardError, Served, is_forwarded, is_handshake,
    refuse,
};

/// What is read of the problem for which another node refuses a WebSocket.
const PROBLEM_BYTES: usize = 64 << 10;

/// What became of a request.
pub(super) enum Passed {
    /// Its tenant is served here.
    Here(Request),
    /// Another node answered it, or none did.
    Answered(Response),
}

/// Gives a request back whose partition is served here, or the answer of the node that serves it.
pub(super) async fn pass(
    app: &App,
    partition: u32,
    is_socket: bool,
    mut request: Request,
) -> Passed {
    // What every request of a single process comes by.
    if app.places().of_partition(partition) == Served::Here {
        return Passed::Here(request);
    }
    let was_forwarded = is_forwarded(request.headers());
    if let Some(Peer(peer)) = request.extensions().get().copied() {
        request.extensions_mut().insert(CameFrom(peer.ip()));
    }
    let passed = if is_socket && is_handshake(request.headers()) {
        pass_socket(app, partition, request).await
    } else {
        app.forwarder.exchange(partition, request).await.map(|exchange| match exchange {
            Exchange::Here(request) => Passed::Here(request),
            Exchange::Answered(answer) => Passed::Answered(answer.streamed(app.hub.ended())),
        })
    };
    passed.unwrap_or_else(|error| {
        let mut refusal = problems::forward(error).into_response();
        // Whoever has forwarded it may ask another node then.
        if was_forwarded && error != ForwardError::Interrupted {
            refuse(refusal.headers_mut());
        }
        Passed::Answered(refusal)
    })
}

async fn pass_socket(app: &App, partition: u32, request: Request) -> Result<Passed, ForwardError> {
    let (address, headers) = (request.uri().clone(), request.headers().clone());
    let from = request.extensions().get().copied();
    let far = match app.forwarder.connect(partition, address, headers, from).await? {
        Connected::Here => return Ok(Passed::Here(request)),
        Connected::Refused(answer) => return Ok(Passed::Answered(answer)),
        Connected::Far(far) => far,
    };
    let (mut parts, _) = request.into_parts();
    let answer = match WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
        Ok(upgrade) => stream::upgrade_relayed(&app.hub, upgrade, far),
        Err(error) => problems::plain(error.status(), &error.body_text()).into_response(),
    };
    Ok(Passed::Answered(answer))
}

/// The other end of a WebSocket whose caller showed this token in its first message; none if it is
/// served here. `trace` is that of its handshake.
pub(super) async fn far(
    app: &App,
    partition: u32,
    token: &str,
    trace: &Trace,
) -> Result<Option<Far>, Problem> {
    if app.places().of_partition(partition) == Served::Here {
        return Ok(None);
    }
    let mut headers = HeaderMap::new();
    // A token that was verified has only characters that a header may have.
    let bearer = HeaderValue::try_from(format!("Bearer {token}"));
    headers.insert(AUTHORIZATION, bearer.map_err(|_| problems::authorization())?);
    let (from, before) = trace.origin();
    if let Some(Ok(before)) = before.map(HeaderValue::from_str) {
        headers.insert(FORWARDED_FOR, before);
    }
    let address = Uri::from_static("/v1/ws");
    let connected = app.forwarder.connect(partition, address, headers, from.map(CameFrom)).await;
    match connected.map_err(problems::forward)? {
        Connected::Here => Ok(None),
        Connected::Far(far) => Ok(Some(far)),
        Connected::Refused(answer) => Err(problem(answer).await),
    }
}

/// The problem that an answer of another node states.
async fn problem(answer: Response) -> Problem {
    let status = answer.status();
    let text = to_bytes(answer.into_body(), PROBLEM_BYTES).await.unwrap_or_default();
    let Ok(mut members) = serde_json::from_slice::<Map<String, Value>>(&text) else {
        return problems::plain(status, "");
    };
    let mut text = |name: &str| match members.remove(name) {
        Some(Value::String(text)) => text,
        _ => String::new(),
    };
    let (r#type, title, detail) = (text("type"), text("title"), text("detail"));
    members.remove("status");
    Problem { r#type, title, status, detail, members }
}
