//! What tenants were given of their templates, and what a newer version makes of it.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{Any, FromRow, Transaction};

use super::reading::time;
use super::{
    DashboardChange, Scope, Store, StoredAlertRule, StoredReport, TenantRow, alert_rules,
    custom_fields, dashboards, json_array, reports, sql,
};
use crate::custom_fields::CustomFields;
use crate::dashboards::{Dashboard, DashboardId, NewDashboard, Origin};
use crate::templates::Template;
use crate::templates::parts::PartKind;
use crate::{MODULES, StoreError, TenantId, TenantRecord};

/// What a tenant was given last.
#[derive(Clone, Debug, PartialEq)]
pub struct GivenTemplate {
    /// The template as it was then.
    pub template: Template,
    /// When that was.
    pub given_at: DateTime<Utc>,
    /// 1, and one more with each version that was taken over.
    pub revision: u64,
}

/// What a tenant is given of a template.
#[derive(Clone, Debug, PartialEq)]
pub struct TemplateGift {
    /// The template, which is remembered.
    pub template: Template,
    /// When it is given.
    pub at: DateTime<Utc>,
    /// The dashboards.
    pub dashboards: Vec<Dashboard>,
    /// The reports, and when the schedule of each is due first.
    pub reports: Vec<(StoredReport, Option<DateTime<Utc>>)>,
    /// The rules of alerts.
    pub rules: Vec<StoredAlertRule>,
}

/// What a newer version makes of what a tenant has, as it was when that was worked out.
#[derive(Clone, Debug, PartialEq)]
pub struct TemplateUpdate {
    /// The revision that the tenant had of what it was given; none, where it was given nothing.
    pub revision: Option<u64>,
    /// The subject of the token by which it is taken over.
    pub by: String,
    /// The modules that are switched, if any are.
    pub modules: Option<SwitchedModules>,
    /// What is given for the first time, or again.
    pub gift: TemplateGift,
    /// The dashboards that it had and has in the newer version.
    pub dashboards: Vec<UpdatedDashboard>,
    /// Reports with their next versions, and when the schedule of each is due next.
    pub reports: Vec<(StoredReport, Option<DateTime<Utc>>)>,
    /// Rules with their next versions.
    pub rules: Vec<StoredAlertRule>,
    /// What is deleted.
    pub removed: Vec<RemovedPart>,
    /// What it declares beside the fields of event types from then on.
    pub fields: CustomFields,
}

/// The modules that are on before and after a newer version is taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SwitchedModules {
    /// As they were when that was worked out.
    pub before: Vec<String>,
    /// As they become.
    pub after: Vec<String>,
}

/// A dashboard that a tenant has of its template.
#[derive(Clone, Debug, PartialEq)]
pub struct UpdatedDashboard {
    /// It.
    pub id: DashboardId,
    /// The version that it had.
    pub version: u64,
    /// What it becomes; none: it stays as it is.
    pub content: Option<NewDashboard>,
    /// What it is made from.
    pub origin: Origin,
    /// The document as the newer version has it.
    pub base: Value,
}

/// Something of an older version that is deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemovedPart {
    /// What it is.
    pub kind: PartKind,
    /// The id by which the tenant has it.
    pub id: String,
    /// The version that it had.
    pub version: u64,
}

#[derive(FromRow)]
struct Row {
    revision: i64,
    given_at: i64,
    template: String,
}

impl Store {
    /// What a tenant was given last, if it was given a template.
    pub async fn given_template(&self, tenant: u32) -> Result<Option<GivenTemplate>, StoreError> {
        let statement = sql::query_as(
            "SELECT revision, given_at, template FROM given_templates WHERE tenant_id = $1",
        )
        .bind(i64::from(tenant));
        let row: Option<Row> =
            self.row(Scope::Tenant(tenant), "reading a template", statement).await?;
        row.map(Row::given).transpose()
    }

    /// Says that a tenant has the reference data of its template, and gives it what else the
    /// template has in the same step: whoever says so again gives it no second time.
    pub async fn finish_template(
        &self,
        id: &TenantId,
        gift: &TemplateGift,
    ) -> Result<TenantRecord, StoreError> {
        let failed = |source| StoreError::Database { doing: "finishing a template", source };
        let mut transaction = self.write(Scope::Platform).await.map_err(failed)?;
        let rows: Vec<TenantRow> = sql::query_as(concat!(
            "UPDATE tenants SET template = NULL \
             WHERE id = $1 AND template IS NOT NULL AND deleted_at IS NULL RETURNING ",
            columns!()
        ))
        .bind(id.as_str())
        .fetch_all(&mut *transaction)
        .await
        .map_err(failed)?;
        let Some(row) = rows.into_iter().next() else {
            transaction.rollback().await.map_err(failed)?;
            let there = self.tenant(id).await?;
            return there.ok_or_else(|| StoreError::NotFound { id: id.clone() });
        };
        let tenant = row.record()?;
        self.enter(&mut transaction, tenant.number).await.map_err(failed)?;
        remember(&mut transaction, tenant.number, None, gift).await.map_err(failed)?;
        give(&mut transaction, tenant.number, gift).await.map_err(failed)?;
        let given = custom_fields::give(&mut transaction, tenant.number, &gift.template).await;
        given.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(tenant)
    }

    /// Takes a newer version of a template over, all of it or, where anything is another than it
    /// was when that was worked out, nothing; whether it did. Of the versions of a dashboard the
    /// newest `keep` stay.
    pub async fn update_template(
        &self,
        tenant: u32,
        update: &TemplateUpdate,
        keep: usize,
    ) -> Result<bool, StoreError> {
        let failed = |source| StoreError::Database { doing: "updating a template", source };
        let mut transaction = self.write(Scope::Tenant(tenant)).await.map_err(failed)?;
        let TemplateUpdate { revision, by, gift, fields, .. } = update;
        // First, so that of two who take it over at once one waits for the other. The tenant's row
        // comes before all that locks it to be read.
        if let Some(modules) = &update.modules
            && !switch(&mut transaction, tenant, modules).await.map_err(failed)?
        {
            return Ok(false);
        }
        if !remember(&mut transaction, tenant, *revision, gift).await.map_err(failed)? {
            return Ok(false);
        }
        for board in &update.dashboards {
            let UpdatedDashboard { id, version, content, origin, base } = board;
            if let Some(NewDashboard { name, document }) = content {
                let change = DashboardChange {
                    name: name.clone(),
                    document: document.clone(),
                    by: by.clone(),
                    at: gift.at,
                    restored_from: None,
                };
                let seen = Some(*version);
                let changed =
                    dashboards::replace(&mut transaction, tenant, id, seen, &change, keep).await?;
                if changed.is_none() {
                    return Ok(false);
                }
            }
            let rebased = dashboards::rebase(&mut transaction, tenant, id, origin, base).await;
            rebased.map_err(failed)?;
        }
        for (report, next) in &update.reports {
            let replaced = reports::replace(&mut transaction, tenant, report, *next).await;
            if !replaced.map_err(failed)? {
                return Ok(false);
            }
        }
        for rule in &update.rules {
            if !alert_rules::replace(&mut transaction, tenant, rule).await.map_err(failed)? {
                return Ok(false);
            }
        }
        for part in &update.removed {
            if !remove(&mut transaction, tenant, part).await? {
                return Ok(false);
            }
        }
        if !custom_fields::replace(&mut transaction, tenant, fields).await.map_err(failed)? {
            return Ok(false);
        }
        give(&mut transaction, tenant, gift).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(true)
    }
}

/// Switches modules of a tenant, if those are on that were; whether it did.
async fn switch(
    transaction: &mut Transaction<'static, Any>,
    tenant: u32,
    modules: &SwitchedModules,
) -> Result<bool, sqlx::Error> {
    let SwitchedModules { before, after } = modules;
    let done = sql::query(
        "UPDATE tenants SET modules = $2 WHERE number = $1 AND deleted_at IS NULL \
         AND (modules = $3 OR (modules IS NULL AND $4))",
    )
    .bind(i64::from(tenant))
    .bind(json_array(after.clone()))
    .bind(json_array(before.clone()))
    .bind(before.iter().eq(MODULES.iter()))
    .execute(&mut **transaction)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Remembers what a tenant is given, if what was remembered before has that revision, or there was
/// nothing where it is none; whether it did.
async fn remember(
    transaction: &mut Transaction<'static, Any>,
    tenant: u32,
    before: Option<u64>,
    gift: &TemplateGift,
) -> Result<bool, sqlx::Error> {
    let template = serde_json::to_string(&gift.template);
    let template = template.map_err(|error| sqlx::Error::Encode(error.into()))?;
    let query = match before {
        None => sql::query(
            "INSERT INTO given_templates (tenant_id, revision, given_at, template) \
             VALUES ($1, 1, $2, $3) ON CONFLICT (tenant_id) DO NOTHING",
        ),
        Some(_) => sql::query(
            "UPDATE given_templates SET revision = revision + 1, given_at = $2, template = $3 \
             WHERE tenant_id = $1 AND revision = $4",
        ),
    };
    let mut query = query.bind(i64::from(tenant)).bind(gift.at.timestamp_micros()).bind(template);
    if let Some(revision) = before {
        query = query.bind(revision.cast_signed());
    }
    Ok(query.execute(&mut **transaction).await?.rows_affected() == 1)
}

/// Gives a tenant dashboards, reports and rules that it has not.
async fn give(
    transaction: &mut Transaction<'static, Any>,
    tenant: u32,
    gift: &TemplateGift,
) -> Result<(), sqlx::Error> {
    for dashboard in &gift.dashboards {
        dashboards::bring(transaction, tenant, dashboard).await?;
    }
    for (report, next) in &gift.reports {
        reports::bring(transaction, tenant, report, *next).await?;
    }
    for rule in &gift.rules {
        alert_rules::bring(transaction, tenant, rule).await?;
    }
    Ok(())
}

/// Deletes something, if it has the version that it had; whether it did.
async fn remove(
    transaction: &mut Transaction<'static, Any>,
    tenant: u32,
    part: &RemovedPart,
) -> Result<bool, StoreError> {
    let failed = |source| StoreError::Database { doing: "updating a template", source };
    let (id, version) = (part.id.as_str(), Some(part.version));
    let removed = match part.kind {
        PartKind::Dashboard => {
            let id: DashboardId = id.parse()?;
            dashboards::remove(transaction, tenant, &id, version).await
        }
        PartKind::Report => reports::remove(transaction, tenant, id, version).await,
        PartKind::AlertRule => alert_rules::remove(transaction, tenant, id, version).await,
        // Modules are switched, and what was seeded stays: neither is stored by an id.
        PartKind::Module | PartKind::Event => return Ok(false),
    };
    removed.map_err(failed)
}

impl Row {
    fn given(self) -> Result<GivenTemplate, StoreError> {
        let Self { revision, given_at, template } = self;
        let damaged = |error: serde_json::Error| StoreError::Database {
            doing: "reading a template",
            source: sqlx::Error::Decode(error.into()),
        };
        Ok(GivenTemplate {
            template: serde_json::from_str(&template).map_err(damaged)?,
            given_at: time(given_at),
            revision: revision.cast_unsigned(),
        })
    }
}

#[cfg(test)]
#[path = "templates_tests.rs"]
mod tests;
