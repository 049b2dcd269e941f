//! Reports that a template names: each tenant of it is given them once, and they are its own from then
//! on. Until somebody replaces one it is this service that asks in it, and so it needs nobody's rights.

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use serde_json::Value;
use tenancy::StoredReport;
use tenancy::templates::{Template, TemplateReport};

use super::definition::Definition;
use super::{Report, ReportError};

/// A report, and when its schedule is due first.
type Given = (StoredReport, Option<DateTime<Utc>>);

/// The reports that a tenant of a template begins with at that time, and when the schedule of each is
/// due first. Schedules without a zone of their own are on the clock of `zone`.
pub(crate) fn reports_given(
    template: &Template,
    zone: Tz,
    at: DateTime<Utc>,
) -> Result<Vec<Given>, ReportError> {
    let report = |(named, place): (&TemplateReport, i64)| {
        // Lists are in the order of creation.
        let created_at = at + TimeDelta::microseconds(place);
        let report = Report {
            id: template.part_id(&named.id),
            version: 1,
            owner: String::new(),
            created_at,
            changed_at: created_at,
            definition: definition_given(named, zone)?,
        };
        let next = report.next(at);
        Ok((report.stored()?, next))
    };
    template.reports.iter().zip(0..).map(report).collect()
}

/// A report of a template as if somebody had written it.
pub(crate) fn definition_given(
    named: &TemplateReport,
    zone: Tz,
) -> Result<Definition, ReportError> {
    let definition: Definition = serde_json::from_value(Value::Object(named.definition.clone()))?;
    Ok(definition.checked(zone)?)
}
