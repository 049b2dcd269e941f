//! Custom fields: what an admin declares beside the fields of event types, and takes away again.
//!
//! **In:** fields, and names of such. **Out:** columns of `events."<type>"` for one tenant, or why not.
//!
//! Invariants:
//! - No column that a type has is covered by a field that is declared.
//! - What an own view reads keeps its name and its type for as long as the view is defined.

use ingest::SchemaError;
use projections::{EventTypes, Tenant};
use tenancy::{CustomFields, DeclaredField, Invalid, MOST_CUSTOM_FIELDS, StoreError};

use crate::event_types::TypeDirectory;
use crate::own_views::OwnViews;

/// Why a field is not declared, or not taken away.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FieldError {
    /// There is no such type.
    #[error("there is no event type '{0}'")]
    UnknownType(String),
    /// The name is no name of a field.
    #[error("{0}")]
    Name(SchemaError),
    /// The title or a choice is wrong.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The type has such a column itself.
    #[error(
        "`{on}` has the column `{column}` itself; send the value in that field, or declare another \
         name"
    )]
    Taken {
        /// The type.
        on: String,
        /// The column.
        column: String,
    },
    /// Another field has almost the same name.
    #[error(
        "`{known}` of `{on}` is declared already; names must differ in more than capital letters, \
         since SQL does not tell those apart"
    )]
    Alike {
        /// The type.
        on: String,
        /// The other field.
        known: String,
    },
    /// Own views read it.
    #[error(
        "the field `{name}` is read by the views {}; define those without it, or delete them, first",
        .readers.join(", ")
    )]
    InUse {
        /// The field.
        name: String,
        /// The views.
        readers: Vec<String>,
    },
    /// There are as many as may be.
    #[error("{} fields are declared, and no more may be; remove one first", MOST_CUSTOM_FIELDS)]
    Full,
    /// There is no such field.
    #[error(
        "there is no field '{name}' declared of '{on}'; list the fields to see those there are"
    )]
    Unknown {
        /// The type.
        on: String,
        /// The field.
        name: String,
    },
    /// The control store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The task ended before it could answer.
    #[error("the call was interrupted: {0}; list the fields to see what was done")]
    Interrupted(#[from] tokio::task::JoinError),
}

/// Declares a field, or declares it otherwise; whether there was none of its name.
///
/// On a task of its own: a caller that goes away must not leave the store changed and the columns not.
pub(crate) async fn declare(
    types: &TypeDirectory,
    own_views: &OwnViews,
    tenant: Tenant,
    field: DeclaredField,
) -> Result<bool, FieldError> {
    ingest::check_field_name(&field.name).map_err(FieldError::Name)?;
    let field = field.checked()?;
    let (types, own_views) = (types.clone(), own_views.clone());
    tokio::spawn(async move {
        let _held = own_views.hold().await;
        let readers = own_views.reading(tenant, &field.on, &field.name);
        loop {
            let before = types.stored_fields(tenant).await?;
            let visible = types.registry().visible(tenant);
            let is_new = before.get(&field.on, &field.name).is_none();
            let after = with(before, &visible, &field, &readers)?;
            if types.put_fields(tenant, &after).await? {
                return Ok(is_new);
            }
            // Another process has changed them meanwhile. Each turn is one that got through.
        }
    })
    .await?
}

/// Takes a field away. What events carry of it stays with them.
///
/// On a task of its own, as [`declare`].
pub(crate) async fn remove(
    types: &TypeDirectory,
    own_views: &OwnViews,
    tenant: Tenant,
    on: String,
    name: String,
) -> Result<(), FieldError> {
    let (types, own_views) = (types.clone(), own_views.clone());
    tokio::spawn(async move {
        let _held = own_views.hold().await;
        loop {
            let before = types.stored_fields(tenant).await?;
            if before.get(&on, &name).is_none_or(|field| field.name != name) {
                return Err(FieldError::Unknown { on, name });
            }
            let readers = own_views.reading(tenant, &on, &name);
            if !readers.is_empty() {
                return Err(FieldError::InUse { name, readers });
            }
            if types.put_fields(tenant, &before.without(&on, &name)).await? {
                return Ok(());
            }
        }
    })
    .await?
}

/// What is declared before and `field`, if it may be declared.
fn with(
    before: CustomFields,
    types: &EventTypes,
    field: &DeclaredField,
    readers: &[String],
) -> Result<CustomFields, FieldError> {
    let (on, name) = (&field.on, &field.name);
    let Some(event_type) = types.get(on) else {
        return Err(FieldError::UnknownType(on.clone()));
    };
    if let Some(column) = event_type.column(name) {
        return Err(FieldError::Taken { on: on.clone(), column: column.to_owned() });
    }
    match before.get(on, name) {
        Some(known) if known.name != *name => {
            return Err(FieldError::Alike { on: on.clone(), known: known.name.clone() });
        }
        Some(known) if known.r#type != field.r#type && !readers.is_empty() => {
            return Err(FieldError::InUse { name: name.clone(), readers: readers.to_vec() });
        }
        None if before.len() >= MOST_CUSTOM_FIELDS => return Err(FieldError::Full),
        Some(_) | None => {}
    }
    Ok(before.with(field.clone()))
}
