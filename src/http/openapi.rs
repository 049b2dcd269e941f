//! `GET /openapi.json`: the calls of this service as an OpenAPI 3.1 document.
//!
//! Which calls there are, who may make them and how a caller shows who it is comes from the table
//! `tenancy::access::ROUTES` alone, as the guard's decisions do; `x-roles` lists the roles. What a
//! call takes beside that is in [`takes`].

use axum::Json;
use serde_json::{Map, Value, json};
use tenancy::access::{Callers, Credentials, ROUTES, Route};

/// The document. It is the same for everybody.
pub(super) async fn document() -> Json<Value> {
    Json(whole())
}

fn whole() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for route in ROUTES {
        let methods = paths.entry(route.path).or_insert_with(|| json!({}));
        if let Value::Object(methods) = methods {
            methods.insert(route.method.to_ascii_lowercase(), operation(route));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tidemark",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Events in, live figures out. Every call under /v1 needs a token and sees \
                one tenant, the token's; `x-roles` lists the roles that may make a call.",
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
            "schemas": {"Problem": problem()},
        },
    })
}

fn operation(route: &Route) -> Value {
    let (parameters, bodies) = takes(route);
    let path = route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let path = path.map(|name| parameter(name, "path"));
    let parameters: Vec<Value> =
        path.chain(parameters.iter().map(|name| parameter(name, "query"))).collect();
    let mut operation = json!({
        "operationId": name(route),
        "summary": route.summary,
        "security": security(route.credentials),
        "x-roles": roles(route),
        "parameters": parameters,
        "responses": {
            "2XX": {"description": "done"},
            "default": {
                "description": "it cannot be done",
                "content": {
                    "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}},
                },
            },
        },
    });
    if !bodies.is_empty() {
        let content: Map<String, Value> =
            bodies.iter().map(|kind| ((*kind).to_owned(), json!({}))).collect();
        operation["requestBody"] = json!({"required": true, "content": content});
    }
    operation
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
        Callers::Roles(roles) => roles.iter().map(tenancy::Role::as_str).collect(),
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

fn parameter(name: &str, place: &str) -> Value {
    json!({"name": name, "in": place, "required": place == "path", "schema": {"type": "string"}})
}

/// The parameters of a call's address, and the types of its body.
fn takes(route: &Route) -> (&'static [&'static str], &'static [&'static str]) {
    const JSON: &[&str] = &["application/json"];
    const EVENTS: &[&str] = &[
        "application/cloudevents+json",
        "application/cloudevents-batch+json",
        "application/x-ndjson",
    ];
    match (route.method, route.path) {
        ("POST", "/v1/events") => (&[], EVENTS),
        ("GET", "/v1/views") => (&["wait_for", "wait_ms"], &[]),
        ("GET", "/v1/views/{name}") => (&["limit", "after", "raw", "wait_for", "wait_ms"], &[]),
        ("GET", "/v1/views/{name}/explain") => {
            (&["key", "column", "limit", "after", "raw", "wait_for", "wait_ms"], &[])
        }
        ("POST", "/v1/query") => (&["raw", "wait_for", "wait_ms"], JSON),
        ("GET", "/v1/stream") => (&["sub"], &[]),
        ("GET", "/v1/dead-letters" | "/v1/platform/dead-letters") => (&["limit", "after"], &[]),
        ("GET", "/v1/reports/{id}/runs") => (&["limit", "after"], &[]),
        ("GET", "/v1/exports/{run}") => (&["gzip"], &[]),
        ("GET", "/v1/alerts") => (&["state", "rule", "limit", "after"], &[]),
        ("POST", "/v1/tickets") => (&[], &[]),
        ("POST", path) if path.ends_with("/replay") => (&[], &[]),
        ("POST" | "PATCH" | "PUT", _) => (&[], JSON),
        _ => (&[], &[]),
    }
}

/// RFC 9457.
fn problem() -> Value {
    json!({
        "type": "object",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": {"type": "string", "description": "stable, urn:tidemark:problem:…"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string", "description": "what to do, in a sentence"},
        },
    })
}
