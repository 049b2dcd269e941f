//! `information_schema`: the tenant's own relations and their columns, as the SQL standard lists
//! them.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{MemTable, TableProvider};
use datafusion::common::Result;

use crate::catalog::{CATALOG, EVENTS, INFORMATION, Relations, VIEWS};
use crate::postgres;

/// The names of its tables.
pub(crate) const TABLES: [&str; 11] = [
    "tables",
    "columns",
    "schemata",
    "views",
    "table_constraints",
    "key_column_usage",
    "constraint_column_usage",
    "referential_constraints",
    "table_privileges",
    "routines",
    "sequences",
];

/// The table of that name.
pub(crate) fn table(name: &str, relations: &Relations) -> Result<Option<Arc<dyn TableProvider>>> {
    let batch = match name {
        "tables" => tables(relations)?,
        "columns" => columns(relations)?,
        "schemata" => schemata()?,
        "views" => views(relations)?,
        other => match never_filled(other) {
            Some(columns) => empty(columns)?,
            None => return Ok(None),
        },
    };
    let table = MemTable::try_new(batch.schema(), vec![vec![batch]])?;
    Ok(Some(Arc::new(table)))
}

/// The columns of a table in which there is never a row: nothing here has constraints.
fn never_filled(name: &str) -> Option<&'static [&'static str]> {
    Some(match name {
        "table_constraints" => &[
            "constraint_catalog",
            "constraint_schema",
            "constraint_name",
            "table_catalog",
            "table_schema",
            "table_name",
            "constraint_type",
            "is_deferrable",
            "initially_deferred",
            "enforced",
        ],
        "key_column_usage" => &[
            "constraint_catalog",
            "constraint_schema",
            "constraint_name",
            "table_catalog",
            "table_schema",
            "table_name",
            "column_name",
            "ordinal_position",
            "position_in_unique_constraint",
        ],
        "constraint_column_usage" => &[
            "table_catalog",
            "table_schema",
            "table_name",
            "column_name",
            "constraint_catalog",
            "constraint_schema",
            "constraint_name",
        ],
        "referential_constraints" => &[
            "constraint_catalog",
            "constraint_schema",
            "constraint_name",
            "unique_constraint_catalog",
            "unique_constraint_schema",
            "unique_constraint_name",
            "match_option",
            "update_rule",
            "delete_rule",
        ],
        "table_privileges" => &[
            "grantor",
            "grantee",
            "table_catalog",
            "table_schema",
            "table_name",
            "privilege_type",
            "is_grantable",
            "with_hierarchy",
        ],
        "routines" => &[
            "specific_catalog",
            "specific_schema",
            "specific_name",
            "routine_catalog",
            "routine_schema",
            "routine_name",
            "routine_type",
            "data_type",
        ],
        "sequences" => {
            &["sequence_catalog", "sequence_schema", "sequence_name", "data_type", "start_value"]
        }
        _ => return None,
    })
}

fn tables(relations: &Relations) -> Result<RecordBatch> {
    let (mut schemas, mut names, mut kinds) = (vec![], vec![], vec![]);
    relations.for_each(|schema, name, _| {
        schemas.push(schema.to_owned());
        names.push(name.to_owned());
        kinds.push(if schema == EVENTS { "BASE TABLE" } else { "VIEW" });
    });
    let rows = names.len();
    batch(vec![
        ("table_catalog", text(vec![CATALOG; rows])),
        ("table_schema", text(schemas)),
        ("table_name", text(names)),
        ("table_type", text(kinds)),
        ("is_insertable_into", text(vec!["NO"; rows])),
    ])
}

fn columns(relations: &Relations) -> Result<RecordBatch> {
    let (mut schemas, mut tables, mut names) = (vec![], vec![], vec![]);
    let (mut places, mut nullable, mut types, mut short) = (vec![], vec![], vec![], vec![]);
    let (mut precisions, mut scales) = (vec![], vec![]);
    relations.for_each(|schema, table, columns| {
        for (place, field) in columns.fields().iter().enumerate() {
            let (oid, _) = postgres::type_of(field.data_type());
            schemas.push(schema.to_owned());
            tables.push(table.to_owned());
            nullable.push(if field.is_nullable() { "YES" } else { "NO" });
            places.push(place as i64 + 1);
            names.push(field.name().clone());
            types.push(postgres::long_name(oid));
            short.push(postgres::short_name(oid));
            let (precision, scale) = digits(field.data_type());
            precisions.push(precision);
            scales.push(scale);
        }
    });
    let rows = names.len();
    batch(vec![
        ("table_catalog", text(vec![CATALOG; rows])),
        ("table_schema", text(schemas)),
        ("table_name", text(tables)),
        ("column_name", text(names)),
        ("ordinal_position", Arc::new(Int64Array::from(places))),
        ("column_default", nothing(rows)),
        ("is_nullable", text(nullable)),
        ("data_type", text(types)),
        ("character_maximum_length", Arc::new(Int32Array::new_null(rows))),
        ("numeric_precision", Arc::new(Int32Array::from(precisions))),
        ("numeric_scale", Arc::new(Int32Array::from(scales))),
        ("datetime_precision", Arc::new(Int32Array::new_null(rows))),
        ("domain_name", nothing(rows)),
        ("udt_catalog", text(vec![CATALOG; rows])),
        ("udt_schema", text(vec![postgres::SCHEMA; rows])),
        ("udt_name", text(short)),
        ("is_identity", text(vec!["NO"; rows])),
        ("is_generated", text(vec!["NEVER"; rows])),
        ("is_updatable", text(vec!["NO"; rows])),
    ])
}

/// The digits of a number, and how many of them are behind the point.
fn digits(data_type: &DataType) -> (Option<i32>, Option<i32>) {
    match data_type {
        DataType::Decimal128(precision, scale) => {
            (Some(i32::from(*precision)), Some(i32::from(*scale)))
        }
        DataType::Int64 => (Some(64), Some(0)),
        DataType::Int32 => (Some(32), Some(0)),
        DataType::Float64 => (Some(53), None),
        _ => (None, None),
    }
}

fn schemata() -> Result<RecordBatch> {
    let names = vec![VIEWS, EVENTS, INFORMATION, postgres::SCHEMA];
    let rows = names.len();
    batch(vec![
        ("catalog_name", text(vec![CATALOG; rows])),
        ("schema_name", text(names)),
        ("schema_owner", text(vec![CATALOG; rows])),
    ])
}

fn views(relations: &Relations) -> Result<RecordBatch> {
    let (mut names, mut definitions) = (vec![], vec![]);
    for view in relations.snapshot.views() {
        names.push(view.view().name().to_owned());
        definitions.push(view.view().sql().to_owned());
    }
    let rows = names.len();
    batch(vec![
        ("table_catalog", text(vec![CATALOG; rows])),
        ("table_schema", text(vec![VIEWS; rows])),
        ("table_name", text(names)),
        ("view_definition", text(definitions)),
        ("check_option", text(vec!["NONE"; rows])),
        ("is_updatable", text(vec!["NO"; rows])),
        ("is_insertable_into", text(vec!["NO"; rows])),
    ])
}

fn empty(columns: &[&str]) -> Result<RecordBatch> {
    batch(columns.iter().map(|name| (*name, nothing(0))).collect())
}

fn nothing(rows: usize) -> ArrayRef {
    Arc::new(StringArray::new_null(rows))
}

fn text<T: AsRef<str>>(values: Vec<T>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> Result<RecordBatch> {
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, array)| {
            let data_type: &DataType = array.data_type();
            Field::new(*name, data_type.clone(), true)
        })
        .collect();
    let schema: SchemaRef = Arc::new(Schema::new(fields));
    Ok(RecordBatch::try_new(schema, columns.into_iter().map(|(_, array)| array).collect())?)
}
