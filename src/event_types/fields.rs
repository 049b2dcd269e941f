//! What tenants have declared beside the fields of event types: in memory as the store has it, and in
//! the registry as columns of their events.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use projections::Tenant;
use projections::events::{Field, FieldType};
use tenancy::templates::CustomFieldType;
use tenancy::{CustomFields, StoreError};

use super::{Shared, TypeDirectory};

impl TypeDirectory {
    /// What a tenant has declared.
    pub(crate) fn fields(&self, tenant: Tenant) -> Arc<CustomFields> {
        let fields = self.shared.fields.read().unwrap_or_else(PoisonError::into_inner);
        fields.get(&tenant).cloned().unwrap_or_default()
    }

    /// What the store says at this moment that a tenant has declared.
    pub(crate) async fn stored_fields(&self, tenant: Tenant) -> Result<CustomFields, StoreError> {
        self.shared.store.custom_fields_of(tenant.0).await
    }

    /// Stores what a tenant declares, made of what the store had, and takes it over; false if the store
    /// has something else by now.
    pub(crate) async fn put_fields(
        &self,
        tenant: Tenant,
        fields: &CustomFields,
    ) -> Result<bool, StoreError> {
        let _turn = self.shared.turn.lock().await;
        if !self.shared.store.put_custom_fields(tenant.0, fields).await? {
            return Ok(false);
        }
        self.shared.adopt_fields(tenant, self.shared.store.custom_fields_of(tenant.0).await?);
        Ok(true)
    }

    /// Takes over what was stored of a tenant beside this directory, as when it is given a template.
    pub(crate) async fn reread_fields(&self, tenant: Tenant) -> Result<(), StoreError> {
        let _turn = self.shared.turn.lock().await;
        self.shared.adopt_fields(tenant, self.shared.store.custom_fields_of(tenant.0).await?);
        Ok(())
    }
}

impl Shared {
    /// Takes over what a tenant has declared.
    pub(super) fn adopt_fields(&self, tenant: Tenant, declared: CustomFields) {
        let mut columns: BTreeMap<String, Vec<Field>> = BTreeMap::new();
        for (_, field) in declared.all() {
            let (name, kind) = (field.name.clone(), kind(field.r#type));
            columns.entry(field.on.clone()).or_default().push(Field { name, kind, optional: true });
        }
        self.registry.declare(tenant, columns);
        let mut fields = self.fields.write().unwrap_or_else(PoisonError::into_inner);
        fields.insert(tenant, Arc::new(declared));
    }
}

fn kind(of: CustomFieldType) -> FieldType {
    match of {
        CustomFieldType::Text => FieldType::Text,
        CustomFieldType::Int => FieldType::Int,
        CustomFieldType::Decimal => FieldType::Decimal,
        CustomFieldType::Date => FieldType::Date,
        CustomFieldType::Timestamp => FieldType::Timestamp,
        CustomFieldType::Bool => FieldType::Bool,
    }
}
