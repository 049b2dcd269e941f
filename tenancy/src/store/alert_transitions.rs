//! What became of alerts: each has its history, in numbers without a gap.

use chrono::{DateTime, Utc};
use sqlx::{Any, FromRow, Transaction};

use super::reading::time;
use super::{sql, text};

/// What became of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransitionKind {
    /// Its condition became true: the first of each alert.
    Fired,
    /// Its condition became false, or its rule was switched off: the last one.
    Cleared,
    /// Somebody has seen it.
    Acknowledged,
    /// Somebody wants to hear of it later.
    Snoozed,
    /// Somebody wants to hear of it again.
    Woken,
}

impl TransitionKind {
    const ALL: [Self; 5] =
        [Self::Fired, Self::Cleared, Self::Acknowledged, Self::Snoozed, Self::Woken];

    /// The kind's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fired => "fired",
            Self::Cleared => "cleared",
            Self::Acknowledged => "acknowledged",
            Self::Snoozed => "snoozed",
            Self::Woken => "woken",
        }
    }

    fn read(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// Something that became of an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredTransition {
    /// 1, 2, 3, … of the alert.
    pub number: u32,
    /// What.
    pub kind: TransitionKind,
    /// When.
    pub at: DateTime<Utc>,
    /// By whom; none: the rule.
    pub actor: Option<String>,
    /// The tenant's position, where the rule decided.
    pub sequence: Option<u64>,
    /// Until when it was snoozed.
    pub snoozed_until: Option<DateTime<Utc>>,
}

/// What is noted of a transition.
pub(super) struct Noted<'a> {
    pub(super) kind: TransitionKind,
    pub(super) actor: Option<&'a str>,
    pub(super) sequence: Option<u64>,
    pub(super) snoozed_until: Option<DateTime<Utc>>,
}

impl Noted<'_> {
    pub(super) const fn of(kind: TransitionKind) -> Self {
        Self { kind, actor: None, sequence: None, snoozed_until: None }
    }
}

#[derive(FromRow)]
struct TransitionRow {
    number: i64,
    kind: String,
    at: i64,
    actor: Option<String>,
    sequence: Option<i64>,
    snoozed_until: Option<i64>,
}

/// Notes a transition behind those there are; its number.
pub(super) async fn note(
    transaction: &mut Transaction<'static, Any>,
    tenant: u32,
    alert: &str,
    noted: &Noted<'_>,
    at: DateTime<Utc>,
) -> Result<u32, sqlx::Error> {
    let (before,): (i64,) = sql::query_as(
        "SELECT count(*) FROM alert_transitions WHERE tenant_id = $1 AND alert_id = $2",
    )
    .bind(i64::from(tenant))
    .bind(alert)
    .fetch_one(&mut **transaction)
    .await?;
    let number = before + 1;
    sql::query(
        "INSERT INTO alert_transitions \
         (tenant_id, alert_id, number, kind, at, actor, sequence, snoozed_until) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(i64::from(tenant))
    .bind(alert)
    .bind(number)
    .bind(noted.kind.as_str())
    .bind(at.timestamp_micros())
    .bind(noted.actor.map(text))
    .bind(noted.sequence.map(u64::cast_signed))
    .bind(noted.snoozed_until.map(|until| until.timestamp_micros()))
    .execute(&mut **transaction)
    .await?;
    Ok(u32::try_from(number).unwrap_or(u32::MAX))
}

/// What became of an alert, in order.
pub(super) async fn list(
    transaction: &mut Transaction<'static, Any>,
    tenant: u32,
    alert: &str,
) -> Result<Vec<StoredTransition>, sqlx::Error> {
    let rows: Vec<TransitionRow> = sql::query_as(
        "SELECT number, kind, at, actor, sequence, snoozed_until FROM alert_transitions \
         WHERE tenant_id = $1 AND alert_id = $2 ORDER BY number",
    )
    .bind(i64::from(tenant))
    .bind(alert)
    .fetch_all(&mut **transaction)
    .await?;
    Ok(rows.into_iter().filter_map(TransitionRow::stored).collect())
}

impl TransitionRow {
    /// Nothing, if a newer version made it and this one knows nothing of its kind.
    fn stored(self) -> Option<StoredTransition> {
        Some(StoredTransition {
            number: u32::try_from(self.number).unwrap_or(u32::MAX),
            kind: TransitionKind::read(&self.kind)?,
            at: time(self.at),
            actor: self.actor,
            sequence: self.sequence.map(i64::cast_unsigned),
            snoozed_until: self.snoozed_until.map(time),
        })
    }
}
