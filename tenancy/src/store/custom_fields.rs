//! What tenants have declared beside the fields of event types.

use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::{Any, FromRow, Transaction};

use super::{Scope, Store, sql};
use crate::StoreError;
use crate::custom_fields::{CustomFields, DeclaredField};
use crate::templates::Template;

#[derive(FromRow)]
struct Row {
    tenant_id: i64,
    revision: i64,
    given: String,
    own: String,
}

impl Store {
    /// What all tenants have declared, with their numbers.
    pub async fn custom_fields(&self) -> Result<Vec<(u32, CustomFields)>, StoreError> {
        self.custom_fields_since(None).await
    }

    /// What those tenants have declared of which that was changed after the change of this number; of
    /// all, without one.
    pub async fn custom_fields_since(
        &self,
        change: Option<u64>,
    ) -> Result<Vec<(u32, CustomFields)>, StoreError> {
        let failed = |source| StoreError::Database { doing: "listing custom fields", source };
        let mut transaction = self.read(Scope::Platform).await.map_err(failed)?;
        let rows: Vec<Row> = sql::query_as(
            "SELECT tenant_id, revision, given, own FROM custom_fields \
             WHERE change > $1 ORDER BY tenant_id",
        )
        .bind(change.map_or(-1, u64::cast_signed))
        .fetch_all(&mut *transaction)
        .await
        .map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        let fields = |row: Row| -> Result<(u32, CustomFields), StoreError> {
            Ok((row.tenant_id as u32, row.fields()?))
        };
        rows.into_iter().map(fields).collect()
    }

    /// What a tenant has declared.
    pub async fn custom_fields_of(&self, tenant: u32) -> Result<CustomFields, StoreError> {
        let failed = |source| StoreError::Database { doing: "reading custom fields", source };
        let mut transaction = self.read(Scope::Tenant(tenant)).await.map_err(failed)?;
        let row: Option<Row> = sql::query_as(
            "SELECT tenant_id, revision, given, own FROM custom_fields WHERE tenant_id = $1",
        )
        .bind(i64::from(tenant))
        .fetch_optional(&mut *transaction)
        .await
        .map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        row.map_or_else(|| Ok(CustomFields::default()), Row::fields)
    }

    /// Stores what a tenant declares, made of what it had declared before; whether that is still so.
    pub async fn put_custom_fields(
        &self,
        tenant: u32,
        fields: &CustomFields,
    ) -> Result<bool, StoreError> {
        let failed = |source| StoreError::Database { doing: "storing custom fields", source };
        let mut transaction = self.write(Scope::Tenant(tenant)).await.map_err(failed)?;
        let is_stored = replace(&mut transaction, tenant, fields).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(is_stored)
    }
}

/// Stores what a tenant declares, if what is there has its revision; whether it had.
pub(super) async fn replace(
    transaction: &mut Transaction<'static, Any>,
    tenant: u32,
    fields: &CustomFields,
) -> Result<bool, sqlx::Error> {
    let CustomFields { revision, given, own } = fields;
    let statement = if *revision == 0 {
        "INSERT INTO custom_fields (tenant_id, revision, given, own) VALUES ($1, 1, $2, $3) \
         ON CONFLICT (tenant_id) DO NOTHING"
    } else {
        "UPDATE custom_fields SET revision = revision + 1, given = $2, own = $3 \
         WHERE tenant_id = $1 AND revision = $4"
    };
    let mut query =
        sql::query(statement).bind(i64::from(tenant)).bind(encoded(given)?).bind(encoded(own)?);
    if *revision > 0 {
        query = query.bind(revision.cast_signed());
    }
    Ok(query.execute(&mut **transaction).await?.rows_affected() == 1)
}

/// Declares what a template gives a tenant; what its admin has declared stays as it is.
pub(super) async fn give(
    transaction: &mut Transaction<'static, Any>,
    tenant: u32,
    template: &Template,
) -> Result<(), sqlx::Error> {
    sql::query(
        "INSERT INTO custom_fields (tenant_id, revision, given, own) VALUES ($1, 1, $2, '[]') \
         ON CONFLICT (tenant_id) DO UPDATE \
         SET revision = custom_fields.revision + 1, given = excluded.given",
    )
    .bind(i64::from(tenant))
    .bind(encoded(&CustomFields::of_template(template))?)
    .execute(&mut **transaction)
    .await
    .map(drop)
}

fn encoded(fields: &impl Serialize) -> Result<String, sqlx::Error> {
    serde_json::to_string(fields).map_err(|error| sqlx::Error::Encode(error.into()))
}

fn decoded<T: DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::Database {
        doing: "reading custom fields",
        source: sqlx::Error::Decode(error.into()),
    })
}

impl Row {
    fn fields(self) -> Result<CustomFields, StoreError> {
        let given: Vec<DeclaredField> = decoded(&self.given)?;
        let own: Vec<DeclaredField> = decoded(&self.own)?;
        Ok(CustomFields { revision: self.revision.cast_unsigned(), given, own })
    }
}

#[cfg(test)]
#[path = "custom_fields_tests.rs"]
mod tests;
