//! Rules that a template names: each tenant of it is given them once, and they are its own from then
//! on. Until somebody replaces one it is this service that asks in it, and so it needs nobody's rights.

use chrono::{DateTime, Utc};
use serde_json::json;
use tenancy::templates::{Template, TemplateRule};
use tenancy::{RuleState, StoredAlertRule};

use super::AlertError;
use super::rule::{Definition, Rule};

/// The rules that a tenant of a template begins with at that time.
pub(crate) fn rules_given(
    template: &Template,
    at: DateTime<Utc>,
) -> Result<Vec<StoredAlertRule>, AlertError> {
    let rule = |named: &TemplateRule| {
        let rule = Rule {
            id: template.rule_id(named),
            version: 1,
            owner: String::new(),
            definition: definition(named)?,
            state: RuleState::Waiting,
            error: None,
            created_at: at,
            changed_at: at,
            builtin: None,
        };
        rule.stored()
    };
    template.alert_rules.iter().map(rule).collect()
}

/// A rule as if somebody had written it.
fn definition(named: &TemplateRule) -> Result<Definition, AlertError> {
    let TemplateRule { id: _, title, sql, key, severity } = named;
    let written = json!({ "title": title, "sql": sql, "key": key, "severity": severity });
    let definition: Definition = serde_json::from_value(written)?;
    Ok(definition.checked()?)
}
