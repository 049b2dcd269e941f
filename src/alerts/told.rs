//! Rules and alerts in JSON, as they are told those who may know of them.

use chrono::{DateTime, SecondsFormat, Utc};
use projections::{Position, Tenant};
use serde_json::{Value, json};
use tenancy::StoredAlert;

use super::Told;
use super::rule::Rule;
use crate::reports::Target;

/// What a rule has beside its definition.
pub(crate) const TOLD: [&str; 8] =
    ["id", "version", "owner", "builtin", "state", "error", "created_at", "changed_at"];

/// An instant for people and programs.
pub(crate) fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// The values of a subject or of details, as they are stored.
pub(super) fn values(stored: &str) -> Value {
    // They were written by this service; what cannot be read is shown as nothing.
    serde_json::from_str(stored).unwrap_or_default()
}

/// A rule, without the secrets of its targets.
pub(crate) fn described(rule: &Rule) -> Value {
    let mut all = json!(rule.definition);
    let state = if rule.definition.enabled { rule.state.as_str() } else { "off" };
    // As in `TOLD`.
    all["id"] = json!(rule.id);
    all["version"] = json!(rule.version);
    all["owner"] = json!((!rule.owner.is_empty()).then_some(&rule.owner));
    all["builtin"] = json!(rule.builtin.is_some());
    all["state"] = json!(state);
    all["error"] = json!(rule.error);
    all["created_at"] = json!(instant(rule.created_at));
    all["changed_at"] = json!(instant(rule.changed_at));
    all["deliver"] = rule.definition.deliver.iter().map(Target::shown).collect();
    all
}

/// An alert.
pub(crate) fn told(tenant: Tenant, alert: &StoredAlert) -> Value {
    let by = &alert.acknowledged_by;
    let acknowledged = alert.acknowledged_at.map(|at| json!({ "by": by, "at": instant(at) }));
    json!({
        "id": alert.id,
        "rule": alert.rule_id,
        "title": alert.title,
        "severity": alert.severity,
        "state": alert.state.as_str(),
        "subject": values(&alert.subject),
        "details": values(&alert.details),
        "position": position(tenant, alert.sequence),
        "fired_at": instant(alert.fired_at),
        "cleared_at": alert.cleared_at.map(instant),
        "acknowledged": acknowledged,
        "snoozed_until": alert.snoozed_until.map(instant),
    })
}

/// An alert with what became of it and whom that was told.
pub(crate) fn whole(tenant: Tenant, found: &Told) -> Value {
    let mut all = told(tenant, &found.alert);
    let history = found.history.iter().map(|transition| {
        json!({
            "number": transition.number,
            "kind": transition.kind.as_str(),
            "at": instant(transition.at),
            "by": transition.actor,
            "position": transition.sequence.map(|sequence| position(tenant, sequence)),
            "snoozed_until": transition.snoozed_until.map(instant),
        })
    });
    all["history"] = history.collect();
    let deliveries = found.deliveries.iter().map(|delivery| {
        let target: Option<Target> = serde_json::from_str(&delivery.target).ok();
        json!({
            "number": delivery.number,
            "to": target.map(|target| target.shown()),
            "state": delivery.state,
            "attempts": delivery.attempts,
            "finished_at": delivery.finished_at.map(instant),
            "error": delivery.error,
        })
    });
    all["deliveries"] = deliveries.collect();
    all
}

/// A position as the tenant knows it.
pub(super) fn position(tenant: Tenant, sequence: u64) -> String {
    Position::new(tenant, sequence).to_string()
}
