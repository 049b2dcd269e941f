//! Which role may call which route: one table, read by the HTTP layer for every request. The OpenAPI
//! document and the table in `docs/roles.md` are made from it.

use crate::{Role, RoleSet};

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Callers {
    /// Anybody, without a token.
    Public,
    /// A caller with any of these roles.
    Roles(RoleSet),
}

/// How a caller may show who it is. Where it may show nothing at first, nothing is given either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// Not asked for.
    None,
    /// The header `Authorization: Bearer`.
    Bearer,
    /// The header, or a ticket as the query parameter `ticket`.
    BearerOrTicket,
    /// The header, a ticket, or a first message `{"type":"auth","token"}`, whose identity must pass
    /// [`allowed`] for this route before anything is answered.
    BearerTicketOrMessage,
}

/// A route and its callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The HTTP method, in capitals. A route for `GET` answers `HEAD` too.
    pub method: &'static str,
    /// The path template: `/v1/views/{name}`.
    pub path: &'static str,
    /// Who may call it.
    pub callers: Callers,
    /// How they show who they are.
    pub credentials: Credentials,
    /// What it does, in a line.
    pub summary: &'static str,
}

/// What the table says of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Open to anybody.
    Public,
    /// One of the caller's roles allows it.
    Granted,
    /// None of the caller's roles allows it.
    Refused,
    /// The table has no such route.
    Unknown,
}

use Role::{Admin, Analyst, Executive, Platform, Service};

/// Those who read figures. Analyst includes executive, admin includes all of its tenant.
const READERS: Callers = Callers::Roles(RoleSet::of(&[Executive, Analyst, Admin]));
const ASKERS: Callers = Callers::Roles(RoleSet::of(&[Analyst, Admin]));
const SENDERS: Callers = Callers::Roles(RoleSet::of(&[Service, Admin]));
const ADMINS: Callers = Callers::Roles(RoleSet::of(&[Admin]));
const PLATFORM: Callers = Callers::Roles(RoleSet::of(&[Platform]));

const fn public(path: &'static str, summary: &'static str) -> Route {
    Route { method: "GET", path, callers: Callers::Public, credentials: Credentials::None, summary }
}

const fn bearer(
    method: &'static str,
    path: &'static str,
    callers: Callers,
    summary: &'static str,
) -> Route {
    Route { method, path, callers, credentials: Credentials::Bearer, summary }
}

const fn live(path: &'static str, credentials: Credentials, summary: &'static str) -> Route {
    Route { method: "GET", path, callers: READERS, credentials, summary }
}

/// Every route of the service. What is not here is granted to nobody.
pub static ROUTES: &[Route] = &[
    public("/livez", "whether the process lives"),
    public("/readyz", "whether the process answers with complete figures"),
    public("/metrics", "figures of the process for Prometheus"),
    public("/openapi.json", "the calls of this service, and who may make them"),
    public("/v1/sign-in", "with which issuer the page signs in, if with one"),
    Route {
        method: "POST",
        path: "/v1/sign-in",
        callers: Callers::Public,
        credentials: Credentials::None,
        summary: "get a token for the code of the issuer",
    },
    bearer("POST", "/v1/events", SENDERS, "send events"),
    bearer("GET", "/v1/event-types", ASKERS, "list the event types and their fields"),
    bearer("POST", "/v1/event-types", ADMINS, "register an event type of the tenant"),
    bearer("GET", "/v1/event-types/{type}", ASKERS, "read an event type"),
    bearer("GET", "/v1/views", READERS, "list the views"),
    bearer("POST", "/v1/views", ASKERS, "define a view of the caller's tenant"),
    bearer("GET", "/v1/views/{name}", READERS, "read the rows of a view"),
    bearer("DELETE", "/v1/views/{name}", ASKERS, "delete a view of the caller's tenant"),
    bearer("GET", "/v1/views/{name}/status", READERS, "read the state of a view"),
    bearer("GET", "/v1/views/{name}/explain", READERS, "read the events behind a figure of a view"),
    bearer("POST", "/v1/query", ASKERS, "ask in SQL"),
    bearer("GET", "/v1/reports", ASKERS, "list the reports"),
    bearer("POST", "/v1/reports", ASKERS, "make a report"),
    bearer("GET", "/v1/reports/{id}", ASKERS, "read a report"),
    bearer("PUT", "/v1/reports/{id}", ASKERS, "replace a report and own it"),
    bearer("DELETE", "/v1/reports/{id}", ASKERS, "delete a report, its runs and files"),
    bearer("POST", "/v1/reports/{id}/run", ASKERS, "run a report now"),
    bearer("GET", "/v1/reports/{id}/runs", ASKERS, "list the runs of a report"),
    bearer("GET", "/v1/reports/{id}/runs/{run}", ASKERS, "read how far a run has come"),
    bearer("DELETE", "/v1/reports/{id}/runs/{run}", ASKERS, "call a run off"),
    bearer("GET", "/v1/exports/{run}", ASKERS, "download the file of a run"),
    bearer("GET", "/v1/alert-rules", ASKERS, "list the rules of alerts"),
    bearer("POST", "/v1/alert-rules", ASKERS, "make a rule of alerts"),
    bearer("GET", "/v1/alert-rules/{id}", ASKERS, "read a rule of alerts"),
    bearer("PUT", "/v1/alert-rules/{id}", ASKERS, "replace a rule of alerts and own it"),
    bearer("DELETE", "/v1/alert-rules/{id}", ASKERS, "delete a rule of alerts and its alerts"),
    bearer("GET", "/v1/alerts", READERS, "list the alerts of the caller's roles"),
    bearer("GET", "/v1/alerts/{id}", READERS, "read an alert and what became of it"),
    bearer("POST", "/v1/alerts/{id}/acknowledge", READERS, "say that an alert is seen"),
    bearer(
        "POST",
        "/v1/alerts/{id}/snooze",
        READERS,
        "have nobody be told of an alert for a while",
    ),
    bearer("GET", "/v1/dashboards", READERS, "list the dashboards"),
    bearer("POST", "/v1/dashboards", ASKERS, "make a dashboard"),
    bearer("GET", "/v1/dashboards/{id}", READERS, "read a dashboard"),
    bearer("PUT", "/v1/dashboards/{id}", ASKERS, "replace a dashboard"),
    bearer("DELETE", "/v1/dashboards/{id}", ASKERS, "delete a dashboard and its versions"),
    bearer("GET", "/v1/dashboards/{id}/versions", READERS, "list the versions of a dashboard"),
    bearer(
        "GET",
        "/v1/dashboards/{id}/versions/{version}",
        READERS,
        "read what a dashboard was before",
    ),
    bearer(
        "POST",
        "/v1/dashboards/{id}/versions/{version}/restore",
        ASKERS,
        "make a dashboard again what it was before",
    ),
    live("/v1/stream", Credentials::BearerOrTicket, "follow views as Server-Sent Events"),
    live("/v1/ws", Credentials::BearerTicketOrMessage, "follow views on a WebSocket"),
    bearer("POST", "/v1/tickets", READERS, "get a one-use ticket to follow views"),
    bearer("GET", "/v1/dead-letters", ADMINS, "list what came by Kafka and is no event"),
    bearer("DELETE", "/v1/dead-letters/{id}", ADMINS, "remove a dead letter for good"),
    bearer("POST", "/v1/dead-letters/{id}/replay", ADMINS, "give a dead letter to Kafka again"),
    bearer("GET", "/v1/audit", ADMINS, "read what was done in the caller's tenant, and by whom"),
    bearer("GET", "/v1/service-tokens", ADMINS, "list the tokens of producers"),
    bearer("POST", "/v1/service-tokens", ADMINS, "make a token for a producer, shown once"),
    bearer("GET", "/v1/service-tokens/{id}", ADMINS, "read what is known of a producer's token"),
    bearer("DELETE", "/v1/service-tokens/{id}", ADMINS, "revoke a producer's token"),
    bearer("GET", "/v1/tenant", READERS, "read the caller's tenant"),
    bearer("PATCH", "/v1/tenant", ADMINS, "change the caller's tenant"),
    bearer("GET", "/v1/tenant/fields", READERS, "list the fields declared beside event types"),
    bearer("GET", "/v1/tenant/fields/{type}/{name}", READERS, "read a field that is declared"),
    bearer("PUT", "/v1/tenant/fields/{type}/{name}", ADMINS, "declare a field of an event type"),
    bearer("DELETE", "/v1/tenant/fields/{type}/{name}", ADMINS, "remove a field that is declared"),
    bearer("GET", "/v1/tenant/revocations", ADMINS, "list whose sign-ins were ended"),
    bearer("POST", "/v1/tenant/revocations", ADMINS, "end the sign-ins of somebody"),
    bearer("GET", "/v1/tenant/template", ADMINS, "read what a newer template would change"),
    bearer("POST", "/v1/tenant/template/update", ADMINS, "take a newer template over"),
    bearer("POST", "/v1/tenant/export", ADMINS, "export all of the caller's tenant as files"),
    bearer("GET", "/v1/tenant/export/{run}", ADMINS, "read how far an export has come"),
    bearer("GET", "/v1/tenant/export/{run}/archive", ADMINS, "download an export"),
    bearer("GET", "/v1/platform/overview", PLATFORM, "read how all tenants do"),
    bearer("GET", "/v1/platform/verticals", PLATFORM, "list the templates of lines of business"),
    bearer("GET", "/v1/platform/tenants", PLATFORM, "list the tenants"),
    bearer("POST", "/v1/platform/tenants", PLATFORM, "create a tenant"),
    bearer("GET", "/v1/platform/tenants/{id}", PLATFORM, "read a tenant"),
    bearer("PATCH", "/v1/platform/tenants/{id}", PLATFORM, "change a tenant"),
    bearer("DELETE", "/v1/platform/tenants/{id}", PLATFORM, "delete a tenant and erase its data"),
    bearer("GET", "/v1/platform/audit", PLATFORM, "read what the platform has done"),
    bearer("GET", "/v1/platform/dead-letters", PLATFORM, "list dead letters without a tenant"),
    bearer(
        "DELETE",
        "/v1/platform/dead-letters/{id}",
        PLATFORM,
        "remove a dead letter without a tenant for good",
    ),
    bearer(
        "POST",
        "/v1/platform/dead-letters/{id}/replay",
        PLATFORM,
        "give a dead letter without a tenant to Kafka again",
    ),
    bearer("GET", "/v1/platform/event-types", PLATFORM, "list the event types of all tenants"),
    bearer("POST", "/v1/platform/event-types", PLATFORM, "register an event type for all tenants"),
    bearer("GET", "/v1/platform/event-types/{type}", PLATFORM, "read an event type of all tenants"),
];

/// The route of a method and path template, if there is one. `HEAD` finds the route of `GET`.
pub fn route(method: &str, path: &str) -> Option<&'static Route> {
    let method = if method == "HEAD" { "GET" } else { method };
    ROUTES.iter().find(|route| route.path == path && route.method == method)
}

/// Whether a caller with these roles may call the route. `path` is the template, not the URL.
pub fn allowed(method: &str, path: &str, roles: &RoleSet) -> Access {
    match route(method, path).map(|route| route.callers) {
        None => Access::Unknown,
        Some(Callers::Public) => Access::Public,
        Some(Callers::Roles(callers)) if callers.intersects(*roles) => Access::Granted,
        Some(Callers::Roles(_)) => Access::Refused,
    }
}

#[cfg(test)]
mod tests;
