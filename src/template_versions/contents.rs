//! Dashboards, reports and rules as JSON that can be compared and merged, and back.
//!
//! A report is `{"id", "definition"}` and a rule has its fields beside the `id`, as in a template; both
//! with all their defaults, and without their deliveries, which are the tenant's alone. A module is its
//! `id` and no more: it is on, or it is not there.

use std::fmt::Display;

use chrono_tz::Tz;
use serde::Serialize;
use serde_json::{Value, json};
use tenancy::dashboards::{Dashboard, DashboardLimits, NewDashboard, document};
use tenancy::templates::parts::{Item, Part, PartKind};
use tenancy::templates::{Template, TemplateEvent};
use tenancy::{RemovedPart, Store, StoredAlertRule, TenantRecord};

use super::VersionError;
use crate::alerts::{rule, rules_given};
use crate::reports::{Report, definition, definition_given};

/// The field of reports and rules that is not compared.
const DELIVER: &str = "deliver";

/// What of a template a tenant has.
pub(super) struct Contents {
    /// The modules that are on, of whatever origin.
    pub(super) modules: Vec<String>,
    pub(super) dashboards: Vec<Dashboard>,
    pub(super) reports: Vec<Report>,
    rules: Vec<(StoredAlertRule, rule::Definition)>,
}

impl Contents {
    /// Those of the tenant's whose ids are those of the templates' parts.
    pub(super) async fn read(
        store: &Store,
        tenant: &TenantRecord,
        templates: &[Option<&Template>],
    ) -> Result<Self, VersionError> {
        let number = tenant.number;
        let templates: Vec<&Template> = templates.iter().copied().flatten().collect();
        let mut dashboards = Vec::new();
        for head in store.dashboards(number).await? {
            let is_of = |template: &&Template| {
                let mut ids = template.dashboards.iter().map(|d| template.part_id(&d.id));
                ids.any(|id| id == head.id.as_str())
            };
            if templates.iter().any(is_of) {
                dashboards.extend(store.dashboard(number, &head.id).await?);
            }
        }
        let mut reports = Vec::new();
        for stored in store.reports(number).await? {
            let is_of = |template: &&Template| {
                template.reports.iter().any(|r| template.part_id(&r.id) == stored.id)
            };
            if templates.iter().any(is_of) {
                reports.push(Report::read(stored)?);
            }
        }
        let mut rules = Vec::new();
        for stored in store.alert_rules(number).await? {
            let is_of = |template: &&Template| {
                template.alert_rules.iter().any(|rule| template.rule_id(rule) == stored.id)
            };
            if templates.iter().any(is_of) {
                let definition = serde_json::from_str(&stored.definition)?;
                rules.push((stored, definition));
            }
        }
        Ok(Self { modules: tenant.modules.clone(), dashboards, reports, rules })
    }

    /// They as the parts of the template, by the ids within it.
    pub(super) fn items(&self, template: &Template) -> Result<Vec<Item>, VersionError> {
        let within = |id: &str| {
            let id = id.strip_prefix(template.vertical.as_str())?.strip_prefix('-')?;
            Some(id.to_owned())
        };
        let mut items = modules(&self.modules);
        for Dashboard { head, document, .. } in &self.dashboards {
            let Some(id) = within(head.id.as_str()) else { continue };
            let value = json!({ "id": id, "title": head.name, "document": document });
            items.push(Item { kind: PartKind::Dashboard, id, value });
        }
        for report in &self.reports {
            let Some(id) = within(&report.id) else { continue };
            let value = report_value(&id, &report.definition)?;
            items.push(Item { kind: PartKind::Report, id, value });
        }
        for (stored, definition) in &self.rules {
            let Some(id) = within(&stored.id) else { continue };
            let value = rule_value(&id, definition)?;
            items.push(Item { kind: PartKind::AlertRule, id, value });
        }
        Ok(items)
    }

    /// A rule as it is stored, and what it says.
    pub(super) fn rule(&self, id: &str) -> Option<(&StoredAlertRule, &rule::Definition)> {
        let (stored, definition) = self.rules.iter().find(|(rule, _)| rule.id == id)?;
        Some((stored, definition))
    }

    /// What is to be deleted, as it was read.
    pub(super) fn removed(&self, kind: PartKind, id: &str) -> Option<RemovedPart> {
        let version = match kind {
            PartKind::Dashboard => {
                let mut all = self.dashboards.iter().map(|dashboard| &dashboard.head);
                all.find(|head| head.id.as_str() == id)?.version
            }
            PartKind::Report => self.reports.iter().find(|report| report.id == id)?.version,
            PartKind::AlertRule => self.rule(id)?.0.version,
            // Modules are switched, and what was seeded stays.
            PartKind::Module | PartKind::Event => return None,
        };
        Some(RemovedPart { kind, id: id.to_owned(), version })
    }

    /// The zone on whose clock a report of a template is where it names none: that of the tenant's
    /// own, so that a tenant that has moved since has not changed its reports.
    fn zone(&self, id: &str, tenant: &TenantRecord) -> Tz {
        let report = self.reports.iter().find(|report| report.id == id);
        let schedule = report.and_then(|report| report.definition.schedule.as_ref());
        let zone = schedule.and_then(|schedule| schedule.timezone.as_ref()?.parse().ok());
        zone.unwrap_or(tenant.timezone)
    }
}

/// The parts of a template, as a tenant that has these would have them.
pub(super) fn of_template(
    template: &Template,
    tenant: &TenantRecord,
    ours: &Contents,
) -> Result<Vec<Item>, VersionError> {
    let mut items = modules(&template.modules);
    for given in &template.dashboards {
        let (kind, id) = (PartKind::Dashboard, given.id.clone());
        let value = json!({ "id": id, "title": given.title, "document": given.document });
        items.push(Item { kind, id, value });
    }
    for given in &template.reports {
        let zone = ours.zone(&template.part_id(&given.id), tenant);
        let value = report_value(&given.id, &definition_given(given, zone)?)?;
        items.push(Item { kind: PartKind::Report, id: given.id.clone(), value });
    }
    let rules = rules_given(template, tenant.created_at)?;
    for (given, named) in rules.iter().zip(&template.alert_rules) {
        let definition: rule::Definition = serde_json::from_str(&given.definition)?;
        let value = rule_value(&named.id, &definition)?;
        items.push(Item { kind: PartKind::AlertRule, id: named.id.clone(), value });
    }
    Ok(items)
}

fn modules(on: &[String]) -> Vec<Item> {
    let item =
        |id: &String| Item { kind: PartKind::Module, id: id.clone(), value: json!({ "id": id }) };
    on.iter().map(item).collect()
}

/// The reference data that a template has beside those of a version before.
pub(super) fn later_events(
    template: &Template,
    before: Option<&Template>,
) -> Result<Vec<Item>, serde_json::Error> {
    let item = |event: &TemplateEvent| -> Result<Item, serde_json::Error> {
        let (kind, id) = (PartKind::Event, event.id.clone());
        Ok(Item { kind, id, value: serde_json::to_value(event)? })
    };
    template.later_events(before).map(item).collect()
}

/// What people call a part; what has no name of its own is called by its id.
pub(super) fn title(item: &Item) -> String {
    let title = match item.kind {
        PartKind::Dashboard | PartKind::AlertRule => item.value.get("title"),
        PartKind::Report => item.value.pointer("/definition/name"),
        PartKind::Event => {
            let data = item.value.get("data");
            data.and_then(|data| data.get("title").or_else(|| data.get("name")))
        }
        PartKind::Module => None,
    };
    title.and_then(Value::as_str).unwrap_or(&item.id).to_owned()
}

fn report_value(id: &str, definition: &definition::Definition) -> Result<Value, serde_json::Error> {
    let fields = without_deliveries(definition)?;
    Ok(json!({ "id": id, "definition": fields }))
}

fn rule_value(id: &str, definition: &rule::Definition) -> Result<Value, serde_json::Error> {
    let mut fields = without_deliveries(definition)?;
    put(&mut fields, "id", Value::from(id));
    Ok(fields)
}

fn without_deliveries(definition: &impl Serialize) -> Result<Value, serde_json::Error> {
    let mut fields = serde_json::to_value(definition)?;
    if let Some(fields) = fields.as_object_mut() {
        fields.remove(DELIVER);
    }
    Ok(fields)
}

fn put(object: &mut Value, name: &str, value: Value) {
    if let Some(fields) = object.as_object_mut() {
        fields.insert(name.to_owned(), value);
    }
}

/// What a dashboard becomes, if what both have made of it is one. What lies where the tenant has it
/// stays there.
pub(super) fn dashboard(
    value: &Value,
    part: &Part,
    before: &Dashboard,
    limits: &DashboardLimits,
) -> Result<NewDashboard, VersionError> {
    let name = value.get("title").and_then(Value::as_str).unwrap_or_default().to_owned();
    let document = value.get("document").cloned().unwrap_or_default();
    let arranged = document::arrange(document, &before.document);
    let document = arranged.map_err(|error| unfit(part, &error))?;
    let document = serde_json::to_value(document)?;
    let (bytes, most) = (document.to_string().len(), limits.bytes);
    if bytes > most {
        let message = format!("the document would have {bytes} bytes, and at most {most} may be");
        return Err(unfit(part, &message));
    }
    Ok(NewDashboard { name, document })
}

/// What a report becomes, with the deliveries that it has.
pub(super) fn report(
    value: &Value,
    part: &Part,
    before: &definition::Definition,
    zone: Tz,
) -> Result<definition::Definition, VersionError> {
    let mut fields = value.get("definition").cloned().unwrap_or_default();
    put(&mut fields, DELIVER, serde_json::to_value(&before.deliver)?);
    let definition: definition::Definition =
        serde_json::from_value(fields).map_err(|error| unfit(part, &error))?;
    definition.checked(zone).map_err(|error| unfit(part, &error))
}

/// What a rule becomes, with the deliveries that it has.
pub(super) fn rule(
    value: &Value,
    part: &Part,
    before: &rule::Definition,
) -> Result<rule::Definition, VersionError> {
    let mut fields = value.clone();
    if let Some(fields) = fields.as_object_mut() {
        fields.remove("id");
    }
    put(&mut fields, DELIVER, serde_json::to_value(&before.deliver)?);
    let definition: rule::Definition =
        serde_json::from_value(fields).map_err(|error| unfit(part, &error))?;
    definition.checked().map_err(|error| unfit(part, &error))
}

fn unfit(part: &Part, message: &impl Display) -> VersionError {
    VersionError::Unfit { path: part.path.to_string(), message: message.to_string() }
}
