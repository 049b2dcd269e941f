//! Dashboards as they are told those who may read them.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use serde_json::Value;
use tenancy::dashboards::document::Document;
use tenancy::dashboards::{Dashboard, Head, Origin, Version};
use utoipa::ToSchema;

/// What a dashboard has in answers beside its name and document.
pub(super) const TOLD: [&str; 7] =
    ["id", "version", "changed_by", "created_at", "changed_at", "origin", "base"];

/// A dashboard without its document.
#[derive(Serialize, ToSchema)]
#[schema(as = DashboardHead)]
pub(in crate::http) struct ShownHead {
    id: String,
    name: String,
    /// 1, and one more with each change; also its `ETag`.
    version: u64,
    /// The subject of the token; null: the template.
    changed_by: Option<String>,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    changed_at: String,
    /// What it was made from; null: nothing but what was sent.
    origin: Option<ShownOrigin>,
}

/// What a dashboard was made from.
#[derive(Serialize, ToSchema)]
#[schema(as = DashboardOrigin)]
pub(in crate::http) struct ShownOrigin {
    /// The template and the dashboard within it, as `retail/stock`.
    template: String,
    /// The version that the template had then.
    version: u64,
}

/// A dashboard as it is now.
#[derive(Serialize, ToSchema)]
#[schema(as = KeptDashboard)]
pub(in crate::http) struct Shown {
    #[serde(flatten)]
    head: ShownHead,
    /// What is on it.
    #[schema(value_type = Document)]
    document: Value,
    /// The document as its template gave it; only of one that was made from a template.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Document, required = false)]
    base: Option<Value>,
}

/// A version of a dashboard without its document.
#[derive(Serialize, ToSchema)]
#[schema(as = DashboardVersion)]
pub(in crate::http) struct ShownVersion {
    version: u64,
    /// What the dashboard was called then.
    name: String,
    /// The subject of the token; null: the template.
    changed_by: Option<String>,
    #[schema(format = DateTime)]
    changed_at: String,
    /// The version that it is again; null: it is none of before.
    restored_from: Option<u64>,
}

/// The same with its document.
#[derive(Serialize, ToSchema)]
#[schema(as = WholeDashboardVersion)]
pub(in crate::http) struct WholeVersion {
    #[serde(flatten)]
    version: ShownVersion,
    /// What was on the dashboard.
    #[schema(value_type = Document)]
    document: Value,
}

impl ShownHead {
    pub(super) fn of(head: &Head) -> Self {
        Self {
            id: head.id.to_string(),
            name: head.name.clone(),
            version: head.version,
            changed_by: author(&head.changed_by),
            created_at: time(head.created_at),
            changed_at: time(head.changed_at),
            origin: head.origin.as_ref().map(ShownOrigin::of),
        }
    }
}

impl ShownOrigin {
    fn of(origin: &Origin) -> Self {
        Self { template: origin.template.clone(), version: origin.version }
    }
}

impl Shown {
    pub(in crate::http) fn of(dashboard: &Dashboard) -> Self {
        Self {
            head: ShownHead::of(&dashboard.head),
            document: dashboard.document.clone(),
            base: dashboard.base.clone(),
        }
    }
}

impl ShownVersion {
    pub(super) fn of(version: &Version) -> Self {
        Self {
            version: version.number,
            name: version.name.clone(),
            changed_by: author(&version.changed_by),
            changed_at: time(version.changed_at),
            restored_from: version.restored_from,
        }
    }
}

impl WholeVersion {
    pub(super) fn of(version: &Version, document: Value) -> Self {
        Self { version: ShownVersion::of(version), document }
    }
}

/// Who has made a version: nobody, where a template has.
fn author(subject: &str) -> Option<String> {
    (!subject.is_empty()).then(|| subject.to_owned())
}

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}
