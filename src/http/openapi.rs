//! `GET /openapi.json`: the calls of this service as an OpenAPI 3.1 document.
//!
//! Which calls there are, who may make them and how a caller shows who it is comes from the table
//! `tenancy::access::ROUTES` alone, as the guard's decisions do; `x-roles` lists the roles. What a
//! call takes and gives beside that is in [`calls`], and what can be refused to it follows from both
//! ([`refusals`]). Schemas come from the types that handlers read and answer with.

mod answers;
mod bodies;
mod calls;
mod parameters;
mod schemas;

use std::collections::BTreeSet;
use std::sync::LazyLock;

use axum::Json;
use serde_json::{Map, Value, json};
use tenancy::Role;
use tenancy::access::{Callers, Credentials, ROUTES, Route};

use self::calls::Call;
pub(super) use self::schemas::Column;
use self::schemas::Found;

static DOCUMENT: LazyLock<Value> = LazyLock::new(whole);

/// The document. It is the same for everybody.
pub(super) async fn document() -> Json<&'static Value> {
    Json(LazyLock::force(&DOCUMENT))
}

fn whole() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    let (mut found, mut refused) = (Found::new(), BTreeSet::new());
    for route in ROUTES {
        let call = calls::call(route).unwrap_or_default();
        call.types().for_each(|collect| collect(&mut found));
        refused.extend(refusals(route, &call));
        let methods = paths.entry(route.path).or_insert_with(|| json!({}));
        if let Value::Object(methods) = methods {
            methods.insert(route.method.to_ascii_lowercase(), operation(route, &call));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tidemark",
            "version": env!("CARGO_PKG_VERSION"),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "description": "Events in, live figures out. Every call under /v1 but the sign-in needs a \
                token and sees one tenant, the token's; `x-roles` lists the roles that may make a call. \
                Parameters that a call does not have are refused.",
        },
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
                "ticket": {
                    "type": "apiKey", "in": "query", "name": "ticket",
                    "description": "good once and for 30 seconds, from POST /v1/tickets",
                },
            },
            "schemas": schemas::components(found),
            "headers": answers::headers(),
            "responses": answers::problems(&refused),
        },
    })
}

fn operation(route: &Route, call: &Call) -> Value {
    let mut responses = Map::new();
    for answer in &call.answers {
        responses.insert(answer.status.to_string(), answer.described());
    }
    for status in refusals(route, call) {
        responses.insert(status.to_string(), answers::problem(status));
    }
    let path = in_path(route).map(parameters::path);
    let parameters: Vec<Value> = path.chain(call.parameters.iter().cloned()).collect();
    let mut operation = json!({
        "operationId": name(route),
        "summary": route.summary,
        "security": security(route.credentials),
        "x-roles": roles(route),
        "parameters": parameters,
        "responses": responses,
    });
    if let Some(body) = &call.body {
        operation["requestBody"] = body.described();
    }
    operation
}

/// The statuses with which a call can be refused: its own, and those that follow from what it is.
fn refusals(route: &Route, call: &Call) -> BTreeSet<u16> {
    let mut statuses: BTreeSet<u16> = call.refusals.iter().copied().collect();
    // The address is too long; the service failed.
    statuses.extend([414, 500]);
    if in_path(route).next().is_some() {
        statuses.extend([400, 404]);
    }
    if call.body.is_some() {
        statuses.extend([400, 408, 413, 415]);
    }
    if let Callers::Roles(roles) = route.callers {
        // Parameters that it has not; who calls; it starts, stops, or another node is asked.
        statuses.extend([400, 401, 403, 503]);
        // A tenant's calls have seats and allowances.
        if roles.iter().any(|role| role != Role::Platform) {
            statuses.insert(429);
        }
    }
    statuses
}

fn in_path(route: &Route) -> impl Iterator<Item = &'static str> {
    route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

/// `GET /v1/views/{name}` is `get_views_name`.
fn name(route: &Route) -> String {
    let words = route.path.trim_start_matches("/v1").split(['/', '{', '}', '-', '.']);
    let words = words.filter(|word| !word.is_empty());
    words.fold(route.method.to_ascii_lowercase(), |name, word| format!("{name}_{word}"))
}

/// The roles that may make the call; none for a public one.
fn roles(route: &Route) -> Vec<&'static str> {
    match route.callers {
        Callers::Public => Vec::new(),
        Callers::Roles(roles) => roles.iter().map(Role::as_str).collect(),
    }
}

/// The ways in which a caller shows who it is, of which one will do.
fn security(credentials: Credentials) -> Value {
    match credentials {
        Credentials::None => json!([]),
        Credentials::Bearer => json!([{"token": []}]),
        Credentials::BearerOrTicket => json!([{"token": []}, {"ticket": []}]),
        // The empty one stands for a token in the first message.
        Credentials::BearerTicketOrMessage => json!([{"token": []}, {"ticket": []}, {}]),
    }
}

#[cfg(test)]
mod tests;
