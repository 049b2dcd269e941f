//! Rules and alerts as they are told those who may know of them.

use projections::{Position, Tenant};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tenancy::{Role, StoredAlert, StoredAlertDelivery, StoredTransition};
use utoipa::ToSchema;

use super::Told;
use super::rule::{Definition, Rule, Severity};
use crate::reports::told::{instant, owner};
use crate::reports::{ShownTarget, Target};

/// What a rule has in answers beside its definition.
pub(crate) const TOLD: [&str; 8] =
    ["id", "version", "owner", "builtin", "state", "error", "created_at", "changed_at"];

/// A rule: its definition without secrets, and what is known of it beside that.
#[derive(Serialize, ToSchema)]
#[schema(as = AlertRule)]
pub(crate) struct ShownRule {
    // As in `TOLD`.
    id: String,
    /// 1, and one more with each replacement, and with coming back after it was deleted; also its
    /// `ETag`.
    version: u64,
    /// The subject by whose rights it is evaluated; null: nobody's, as of a built-in rule, and one
    /// that a template gave, until somebody replaces it.
    owner: Option<String>,
    /// Whether every tenant has it.
    builtin: bool,
    /// `waiting`, `live`, `idle`, `failed` or `off`.
    state: &'static str,
    /// Why it is idle or failed.
    error: Option<String>,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    changed_at: String,
    title: String,
    sql: String,
    key: Vec<String>,
    #[schema(value_type = Vec<String>)]
    roles: Vec<Role>,
    severity: Severity,
    enabled: bool,
    deliver: Vec<ShownTarget>,
}

/// An alert.
#[derive(Serialize, ToSchema)]
#[schema(as = Alert)]
pub(crate) struct ShownAlert {
    id: String,
    /// The rule's id.
    rule: String,
    /// What the rule was called when it fired.
    title: String,
    /// How grave that was.
    severity: String,
    /// `open` or `cleared`.
    state: &'static str,
    /// The columns of the rule's key.
    #[schema(value_type = Object)]
    subject: Value,
    /// The other columns as they were when it fired.
    #[schema(value_type = Object)]
    details: Value,
    /// The columns of both with their types, in order; empty of an alert that fired before they were
    /// kept.
    columns: Vec<AlertColumn>,
    /// At which it fired.
    position: String,
    #[schema(format = DateTime)]
    fired_at: String,
    #[schema(format = DateTime)]
    cleared_at: Option<String>,
    /// Who has seen it first; null: nobody has.
    acknowledged: Option<Acknowledged>,
    /// Until when nobody is told of it.
    #[schema(format = DateTime)]
    snoozed_until: Option<String>,
}

/// A column of a subject or of details.
#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct AlertColumn {
    /// Its name.
    pub(super) name: String,
    /// As in answers: `text`, `decimal`, `date`, `timestamp`, `int`, `float`, `bool`, …
    pub(super) r#type: String,
}

/// Who has seen an alert.
#[derive(Serialize, ToSchema)]
#[schema(as = AlertAcknowledgement)]
struct Acknowledged {
    /// The subject of a token.
    by: String,
    #[schema(format = DateTime)]
    at: String,
}

/// An alert with what became of it and whom that was told.
#[derive(Serialize, ToSchema)]
#[schema(as = WholeAlert)]
pub(crate) struct WholeAlert {
    #[serde(flatten)]
    alert: ShownAlert,
    /// From its beginning on.
    history: Vec<ShownTransition>,
    deliveries: Vec<ShownDelivery>,
}

/// Something that became of an alert.
#[derive(Serialize, ToSchema)]
#[schema(as = AlertTransition)]
struct ShownTransition {
    /// 1, 2, 3, …
    number: u32,
    /// `fired`, `cleared`, `acknowledged`, `snoozed` or `woken`.
    kind: &'static str,
    #[schema(format = DateTime)]
    at: String,
    /// The subject of a token; null: the rule.
    by: Option<String>,
    /// At which the rule said so; null where it was somebody.
    position: Option<String>,
    /// Until when, of one that is snoozed.
    #[schema(format = DateTime)]
    snoozed_until: Option<String>,
}

/// What became of a delivery.
#[derive(Serialize, ToSchema)]
#[schema(as = AlertDelivery)]
struct ShownDelivery {
    /// That of the transition which is told.
    number: u32,
    /// Where to; null if that cannot be read any more.
    to: Option<ShownTarget>,
    /// `waiting`, `done` or `failed`.
    state: String,
    attempts: u32,
    #[schema(format = DateTime)]
    finished_at: Option<String>,
    /// Why it failed, or failed last.
    error: Option<String>,
}

/// The values of a subject or of details, as they are stored.
pub(super) fn values(stored: &str) -> Value {
    // They were written by this service; what cannot be read is shown as nothing.
    serde_json::from_str(stored).unwrap_or_default()
}

/// The columns of a subject and of details, as they are stored.
pub(super) fn columns(stored: &str) -> Vec<AlertColumn> {
    // Where they cannot be read the values stand there all the same.
    serde_json::from_str(stored).unwrap_or_default()
}

/// A position as the tenant knows it.
pub(super) fn position(tenant: Tenant, sequence: u64) -> String {
    Position::new(tenant, sequence).to_string()
}

impl ShownRule {
    pub(crate) fn of(rule: &Rule) -> Self {
        let Definition { title, sql, key, roles, severity, enabled, deliver } =
            rule.definition.clone();
        Self {
            id: rule.id.clone(),
            version: rule.version,
            owner: owner(&rule.owner),
            builtin: rule.builtin.is_some(),
            state: if enabled { rule.state.as_str() } else { "off" },
            error: rule.error.clone(),
            created_at: instant(rule.created_at),
            changed_at: instant(rule.changed_at),
            title,
            sql,
            key,
            roles,
            severity,
            enabled,
            deliver: deliver.iter().map(Target::told).collect(),
        }
    }
}

impl ShownAlert {
    pub(crate) fn of(tenant: Tenant, alert: &StoredAlert) -> Self {
        let acknowledged = alert.acknowledged_at.map(|at| Acknowledged {
            by: alert.acknowledged_by.clone().unwrap_or_default(),
            at: instant(at),
        });
        Self {
            id: alert.id.clone(),
            rule: alert.rule_id.clone(),
            title: alert.title.clone(),
            severity: alert.severity.clone(),
            state: alert.state.as_str(),
            subject: values(&alert.subject),
            details: values(&alert.details),
            columns: columns(&alert.columns),
            position: position(tenant, alert.sequence),
            fired_at: instant(alert.fired_at),
            cleared_at: alert.cleared_at.map(instant),
            acknowledged,
            snoozed_until: alert.snoozed_until.map(instant),
        }
    }
}

impl WholeAlert {
    pub(crate) fn of(tenant: Tenant, found: &Told) -> Self {
        let Told { alert, history, deliveries } = found;
        let transition = |transition: &StoredTransition| ShownTransition {
            number: transition.number,
            kind: transition.kind.as_str(),
            at: instant(transition.at),
            by: transition.actor.clone(),
            position: transition.sequence.map(|sequence| position(tenant, sequence)),
            snoozed_until: transition.snoozed_until.map(instant),
        };
        Self {
            alert: ShownAlert::of(tenant, alert),
            history: history.iter().map(transition).collect(),
            deliveries: deliveries.iter().map(ShownDelivery::of).collect(),
        }
    }
}

impl ShownDelivery {
    fn of(delivery: &StoredAlertDelivery) -> Self {
        Self {
            number: delivery.number,
            to: ShownTarget::read(&delivery.target),
            state: delivery.state.clone(),
            attempts: delivery.attempts,
            finished_at: delivery.finished_at.map(instant),
            error: delivery.error.clone(),
        }
    }
}
