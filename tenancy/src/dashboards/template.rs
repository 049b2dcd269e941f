//! The dashboards that a tenant begins with by its template.

use chrono::{DateTime, TimeDelta, Utc};

use super::{Dashboard, DashboardError, Head, Origin, name, whole};
use crate::templates::{Template, TemplateDashboard};

/// The dashboards of a template, in its order, made at that time. Their ids follow from the template.
pub fn of_template(
    template: &Template,
    at: DateTime<Utc>,
) -> Result<Vec<Dashboard>, DashboardError> {
    let places = template.dashboards.iter().zip(0..);
    // Lists are in the order of creation.
    let at = |place: i64| whole(at + TimeDelta::microseconds(place));
    places.map(|(given, place)| given_by(template, given, at(place))).collect()
}

fn given_by(
    template: &Template,
    given: &TemplateDashboard,
    at: DateTime<Utc>,
) -> Result<Dashboard, DashboardError> {
    let Template { vertical, version, .. } = template;
    let document = serde_json::to_value(&given.document)?;
    Ok(Dashboard {
        head: Head {
            id: format!("{vertical}-{}", given.id).parse()?,
            version: 1,
            name: name(&given.title)?,
            changed_by: String::new(),
            created_at: at,
            changed_at: at,
            origin: Some(Origin {
                template: format!("{vertical}/{}", given.id),
                version: *version,
            }),
        },
        base: Some(document.clone()),
        document,
    })
}
