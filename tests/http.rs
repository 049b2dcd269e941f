//! The HTTP interface of the real process: routes and roles, reads, intake, live streams, tenants.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "http/alerts.rs"]
mod alerts;
#[path = "http/audit.rs"]
mod audit;
#[path = "http/certificates.rs"]
mod certificates;
#[path = "http/dashboards.rs"]
mod dashboards;
#[path = "http/document.rs"]
mod document;
#[path = "http/erasure.rs"]
mod erasure;
#[path = "http/event_types.rs"]
mod event_types;
#[path = "http/explanations.rs"]
mod explanations;
#[path = "http/exports.rs"]
mod exports;
#[path = "http/fields.rs"]
mod fields;
#[path = "http/formats.rs"]
mod formats;
#[path = "http/generated.rs"]
mod generated;
#[path = "http/issuers.rs"]
mod issuers;
#[path = "http/limits.rs"]
mod limits;
#[path = "http/live.rs"]
mod live;
#[path = "http/live_sql.rs"]
mod live_sql;
#[path = "http/modules.rs"]
mod modules;
#[path = "http/onboarding.rs"]
mod onboarding;
#[path = "http/overview.rs"]
mod overview;
#[path = "http/own_views.rs"]
mod own_views;
#[path = "http/reads.rs"]
mod reads;
#[path = "http/reports.rs"]
mod reports;
#[path = "http/requests.rs"]
mod requests;
#[path = "http/rights.rs"]
mod rights;
#[path = "http/routes.rs"]
mod routes;
#[path = "http/secrets.rs"]
mod secrets;
#[path = "http/service.rs"]
mod service;
#[path = "http/service_tokens.rs"]
mod service_tokens;
#[path = "http/shutdown.rs"]
mod shutdown;
#[path = "http/storm.rs"]
mod storm;
#[path = "http/templates.rs"]
mod templates;
#[path = "http/tenants.rs"]
mod tenants;
#[path = "http/tls.rs"]
mod tls;
#[path = "http/traces.rs"]
mod traces;
#[path = "http/upgrade.rs"]
mod upgrade;
