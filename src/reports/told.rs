//! Reports and runs as they are told those who may read them.

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::definition::{Definition, FileFormat, Param, Schedule};
use super::{Outcome, Report, Run, ShownTarget, Target, Unread};

/// What a report has in answers beside its definition.
pub(crate) const TOLD: [&str; 7] =
    ["id", "version", "owner", "created_at", "changed_at", "next_run_at", "error"];

/// An instant for people and programs.
pub(crate) fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Whose rights something has: nobody's, where a template gave it.
pub(crate) fn owner(subject: &str) -> Option<String> {
    (!subject.is_empty()).then(|| subject.to_owned())
}

/// A report: its definition without secrets, and what is known of it beside that.
#[derive(Serialize, ToSchema)]
#[schema(as = Report)]
pub(crate) struct ShownReport {
    // As in `TOLD`.
    id: String,
    /// 1, and one more with each replacement, and with coming back after it was deleted; also its
    /// `ETag`.
    version: u64,
    /// The subject by whose rights it runs; null: nobody's, as of one that a template gave, until
    /// somebody replaces it.
    owner: Option<String>,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    changed_at: String,
    /// When its schedule names it next; null without one.
    #[schema(format = DateTime)]
    next_run_at: Option<String>,
    /// Why what is stored of it cannot be read; it has nothing else then that can be relied upon.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    error: Option<String>,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    sql: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    view: Option<String>,
    params: Vec<Param>,
    format: FileFormat,
    raw: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    as_of: Option<String>,
    fiscal_year_starts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    schedule: Option<Schedule>,
    keep_days: u32,
    deliver: Vec<ShownTarget>,
}

impl ShownReport {
    pub(crate) fn of(report: &Report) -> Self {
        let Definition {
            name,
            sql,
            view,
            params,
            format,
            raw,
            as_of,
            fiscal_year_starts,
            schedule,
            keep_days,
            deliver,
        } = report.definition.clone();
        Self {
            next_run_at: report.next(Utc::now()).map(instant),
            name,
            sql,
            view,
            params,
            format,
            raw,
            as_of,
            fiscal_year_starts,
            schedule,
            keep_days,
            deliver: deliver.iter().map(Target::told).collect(),
            ..Self::bare(
                &report.id,
                report.version,
                &report.owner,
                (report.created_at, report.changed_at),
            )
        }
    }

    /// One that cannot be read.
    fn unread(report: &Unread) -> Self {
        Self {
            error: Some(report.error.clone()),
            name: report.name.clone().unwrap_or_else(|| report.id.clone()),
            ..Self::bare(
                &report.id,
                report.version,
                &report.owner,
                (report.created_at, report.changed_at),
            )
        }
    }

    /// What is told of a report of whose definition nothing is known.
    fn bare(
        id: &str,
        version: u64,
        subject: &str,
        (created_at, changed_at): (DateTime<Utc>, DateTime<Utc>),
    ) -> Self {
        Self {
            id: id.to_owned(),
            version,
            owner: owner(subject),
            created_at: instant(created_at),
            changed_at: instant(changed_at),
            next_run_at: None,
            error: None,
            name: id.to_owned(),
            sql: None,
            view: None,
            params: Vec::new(),
            format: FileFormat::default(),
            raw: false,
            as_of: None,
            fiscal_year_starts: 1,
            schedule: None,
            keep_days: 0,
            deliver: Vec::new(),
        }
    }

    /// One of a list.
    pub(crate) fn listed(report: &Result<Report, Box<Unread>>) -> Self {
        match report {
            Ok(report) => Self::of(report),
            Err(unread) => Self::unread(unread),
        }
    }
}

/// A run. What it has made stands there once it is done.
#[derive(Serialize, ToSchema)]
#[schema(as = ReportRun)]
pub(crate) struct ShownRun {
    run_id: String,
    report_id: String,
    /// `queued`, `running`, `done`, `failed`, `missed`, `cancelled` or `expired`.
    state: &'static str,
    /// When its schedule named it.
    #[schema(format = DateTime)]
    due_at: Option<String>,
    /// The subject that asked for it; null: the schedule.
    requested_by: Option<String>,
    /// Whose rights it has; null: nobody's, as of a report that a template gave.
    owner: Option<String>,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    started_at: Option<String>,
    #[schema(format = DateTime)]
    finished_at: Option<String>,
    attempts: u32,
    /// Why it failed, or failed last; or why what is stored of it cannot be read.
    error: Option<String>,
    /// The rows of its file, or those so far.
    rows: Option<u64>,
    #[serde(flatten)]
    made: Made,
    deliveries: Vec<ShownDelivery>,
}

/// A run with what it was to make, as that stood when it was queued.
#[derive(Serialize)]
pub(crate) struct WholeRun {
    #[serde(flatten)]
    run: ShownRun,
    /// The report without secrets, the parameters that were given, and the moment; null if that cannot
    /// be read.
    request: Option<Value>,
}

impl WholeRun {
    pub(crate) fn of(run: &Run) -> Self {
        let request = run.request.as_ref().map(|request| {
            let mut report = json!(request.report);
            report["deliver"] = request.report.deliver.iter().map(Target::shown).collect();
            json!({ "report": report, "params": request.params, "as_of": request.as_of })
        });
        Self { run: ShownRun::of(run), request }
    }
}

/// What a run has made; nothing of it stands there before.
#[derive(Default, Serialize, ToSchema)]
#[schema(as = ReportFile)]
struct Made {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    position: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    as_of: Option<NaiveDate>,
    /// What `$1`, `$2` and so on were.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    params: Option<Vec<Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    format: Option<FileFormat>,
    /// The name of the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    bytes: Option<u64>,
    /// In hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    sha256: Option<String>,
    /// When the file goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = DateTime)]
    expires_at: Option<String>,
    /// Where the file is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    download: Option<String>,
}

impl Made {
    fn of(run: &Run, outcome: &Outcome) -> Self {
        Self {
            position: Some(outcome.position.clone()),
            as_of: Some(outcome.as_of),
            params: Some(outcome.params.clone()),
            format: Some(outcome.format),
            file: Some(outcome.name.clone()),
            bytes: Some(outcome.bytes),
            sha256: Some(outcome.sha256.clone()),
            expires_at: run.stored.expires_at.map(instant),
            download: Some(format!("/v1/exports/{}", run.stored.id)),
        }
    }
}

/// What became of a delivery.
#[derive(Serialize, ToSchema)]
#[schema(as = RunDelivery)]
struct ShownDelivery {
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

impl ShownRun {
    pub(crate) fn of(run: &Run) -> Self {
        let stored = &run.stored;
        let asker = Some(&stored.requested_by).filter(|asker| !asker.is_empty());
        let deliveries = run.deliveries.iter().map(|delivery| ShownDelivery {
            to: ShownTarget::read(&delivery.target),
            state: delivery.state.clone(),
            attempts: delivery.attempts,
            finished_at: delivery.finished_at.map(instant),
            error: delivery.error.clone(),
        });
        Self {
            run_id: stored.id.clone(),
            report_id: stored.report_id.clone(),
            state: stored.state.as_str(),
            due_at: stored.due_at.map(instant),
            requested_by: asker.cloned(),
            owner: run.request.as_ref().and_then(|request| owner(&request.owner)),
            created_at: instant(stored.created_at),
            started_at: stored.started_at.map(instant),
            finished_at: stored.finished_at.map(instant),
            attempts: stored.attempts,
            error: stored.error.clone().or_else(|| run.unread.clone()),
            rows: run.outcome.as_ref().map(|outcome| outcome.rows).or(run.rows_so_far),
            made: run.outcome.as_ref().map(|made| Made::of(run, made)).unwrap_or_default(),
            deliveries: deliveries.collect(),
        }
    }
}
