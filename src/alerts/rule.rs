//! What a rule is, as its author writes it, and what of it can be wrong.

use chrono::{DateTime, Utc};
use projections::Hidden;
use serde::{Deserialize, Serialize};
use tenancy::{Role, RoleSet, RuleState, StoredAlertRule, TenantRecord};
use utoipa::ToSchema;

use super::AlertError;
use super::builtin::{BUILTIN, Builtin};
use crate::reports::Target;
use crate::reports::definition::Wrong;

/// The longest title, in bytes.
const MAX_TITLE: usize = 200;
/// Columns of a key.
const MAX_KEY: usize = 16;
/// Places that the alerts of one rule are told.
const MAX_TARGETS: usize = 8;
/// The month in which fiscal years begin, for words in subjects of messages.
const JANUARY: u32 = 1;

/// A rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewAlertRule)]
pub(crate) struct Definition {
    /// What its alerts are called.
    #[schema(min_length = 1)]
    pub(crate) title: String,
    /// The condition: each row of its answer is a subject that has an alert. Of a built-in rule it may
    /// be left out.
    #[serde(default)]
    pub(crate) sql: String,
    /// The columns by which subjects are told apart; without one the rule is a subject by itself.
    #[serde(default)]
    pub(crate) key: Vec<String>,
    /// Who sees its alerts: `executive`, `analyst` or `admin`; all of them unless it says.
    #[serde(default = "all_readers")]
    #[schema(value_type = Vec<String>)]
    pub(crate) roles: Vec<Role>,
    /// How grave they are.
    #[serde(default)]
    pub(crate) severity: Severity,
    /// Whether it is evaluated at all; it is unless it says.
    #[serde(default = "yes")]
    pub(crate) enabled: bool,
    /// Who is told: e-mail and webhooks.
    #[serde(default)]
    pub(crate) deliver: Vec<Target>,
}

fn all_readers() -> Vec<Role> {
    vec![Role::Executive]
}

const fn yes() -> bool {
    true
}

/// How grave an alert is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = AlertSeverity)]
pub(crate) enum Severity {
    /// Good to know.
    Info,
    /// Somebody should look.
    #[default]
    Warning,
    /// Somebody must act.
    Critical,
}

impl Severity {
    /// Its name.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// A role by what it sees: each sees what those below see.
const fn rank(role: Role) -> u8 {
    match role {
        Role::Service | Role::Platform => 0,
        Role::Executive => 1,
        Role::Analyst => 2,
        Role::Admin => 3,
    }
}

/// The rank of a caller with these roles.
pub(crate) fn rank_of(roles: RoleSet) -> u8 {
    roles.iter().map(rank).max().unwrap_or_default()
}

impl Definition {
    /// What can be checked without the tenant's data.
    pub(crate) fn checked(self) -> Result<Self, Wrong> {
        let has_control = self.title.chars().any(char::is_control);
        if self.title.trim().is_empty() || self.title.len() > MAX_TITLE || has_control {
            return Err(Wrong::new("title", format!("a line of text of 1 to {MAX_TITLE} bytes")));
        }
        if self.sql.trim().is_empty() {
            let message = "a query whose rows are the subjects that have an alert";
            return Err(Wrong::new("sql", message));
        }
        if self.key.len() > MAX_KEY {
            return Err(Wrong::new("key", format!("at most {MAX_KEY} columns")));
        }
        for (place, column) in self.key.iter().enumerate() {
            if self.key.iter().take(place).any(|other| other == column) {
                return Err(Wrong::new(format!("key[{place}]"), "it stands there twice"));
            }
        }
        if self.roles.is_empty() || self.roles.iter().any(|role| rank(*role) == 0) {
            let message = "one or more of `executive`, `analyst` and `admin`";
            return Err(Wrong::new("roles", message));
        }
        if self.deliver.len() > MAX_TARGETS {
            return Err(Wrong::new("deliver", format!("at most {MAX_TARGETS} places")));
        }
        for (place, target) in self.deliver.iter().enumerate() {
            let field = |field: &str| format!("deliver[{place}].{field}");
            if matches!(target, Target::S3 { .. }) {
                return Err(Wrong::new(field("kind"), "`email` or `webhook`"));
            }
            let within = |wrong: Wrong| Wrong::new(field(&wrong.field), wrong.message);
            target.check(JANUARY, |role| self.refusal(role)).map_err(within)?;
        }
        Ok(self)
    }

    /// Why those of a role may not be told, if they may not.
    fn refusal(&self, role: Role) -> Option<String> {
        let message = || format!("the role `{role}` does not see these alerts; add it to `roles`");
        (rank(role) < self.audience()).then(message)
    }

    /// The rank from which on callers see its alerts.
    pub(crate) fn audience(&self) -> u8 {
        self.roles.iter().map(|role| rank(*role)).min().unwrap_or(rank(Role::Admin))
    }
}

/// A rule of a tenant.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) id: String,
    pub(crate) version: u64,
    /// By whose rights it is evaluated; empty: a built-in one, or one that a template gave, which
    /// nobody has replaced.
    pub(crate) owner: String,
    pub(crate) definition: Definition,
    pub(crate) state: RuleState,
    /// Why it is idle or failed.
    pub(crate) error: Option<String>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) changed_at: DateTime<Utc>,
    pub(crate) builtin: Option<&'static Builtin>,
}

impl Rule {
    /// A rule as it is stored. Of a built-in one this version says what it asks for.
    pub(super) fn read(stored: StoredAlertRule) -> Result<Self, AlertError> {
        let StoredAlertRule {
            id,
            version,
            owner,
            definition,
            state,
            error,
            created_at,
            changed_at,
            ..
        } = stored;
        let mut definition: Definition = serde_json::from_str(&definition)?;
        let builtin = BUILTIN.iter().find(|builtin| builtin.id == id);
        if let Some(builtin) = builtin {
            builtin.ask(&mut definition);
        }
        Ok(Self { id, version, owner, definition, state, error, created_at, changed_at, builtin })
    }

    /// A built-in rule as every tenant has it.
    pub(super) fn of(builtin: &'static Builtin, tenant: &TenantRecord) -> Self {
        Self {
            id: builtin.id.to_owned(),
            version: 1,
            owner: String::new(),
            definition: builtin.definition(),
            state: RuleState::Live,
            error: None,
            created_at: tenant.created_at,
            changed_at: tenant.created_at,
            builtin: Some(builtin),
        }
    }

    /// All rules of a tenant: the built-in ones, then those that have a row, the oldest first.
    pub(super) fn all(
        tenant: &TenantRecord,
        stored: Vec<StoredAlertRule>,
    ) -> Result<Vec<Self>, AlertError> {
        let stored: Vec<Self> = stored.into_iter().map(Self::read).collect::<Result<_, _>>()?;
        let (changed, own): (Vec<Self>, Vec<Self>) =
            stored.into_iter().partition(|rule| rule.builtin.is_some());
        let builtin = BUILTIN.iter().map(|builtin| {
            let changed = changed.iter().find(|rule| rule.id == builtin.id).cloned();
            changed.unwrap_or_else(|| Self::of(builtin, tenant))
        });
        Ok(builtin.chain(own).collect())
    }

    /// Says of a built-in rule that it is idle, if its view is hidden.
    pub(super) fn heed(&mut self, hidden: &Hidden) {
        let module = self.builtin.and_then(|builtin| hidden.view(builtin.view));
        if let Some(module) = module {
            self.state = RuleState::Idle;
            self.error = Some(format!("it reads the module `{module}`, which is switched off"));
        }
    }

    /// The rule as it is stored.
    pub(super) fn stored(&self) -> Result<StoredAlertRule, AlertError> {
        Ok(StoredAlertRule {
            id: self.id.clone(),
            version: self.version,
            owner: self.owner.clone(),
            definition: serde_json::to_string(&self.definition)?,
            audience: self.definition.audience(),
            state: self.state,
            error: self.error.clone(),
            created_at: self.created_at,
            changed_at: self.changed_at,
        })
    }
}

#[cfg(test)]
#[path = "rule_tests.rs"]
mod tests;
