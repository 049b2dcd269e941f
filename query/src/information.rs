//! `information_schema`: the tenant's own relations and their columns.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{MemTable, TableProvider};
use datafusion::common::Result;
use projections::encode::column_types;

use crate::catalog::{CATALOG, Relations};

/// The names of its tables.
pub(crate) const TABLES: [&str; 2] = ["tables", "columns"];

/// The table of that name.
pub(crate) fn table(name: &str, relations: &Relations) -> Result<Option<Arc<dyn TableProvider>>> {
    let batch = match name {
        "tables" => tables(relations)?,
        "columns" => columns(relations)?,
        _ => return Ok(None),
    };
    let table = MemTable::try_new(batch.schema(), vec![vec![batch]])?;
    Ok(Some(Arc::new(table)))
}

fn tables(relations: &Relations) -> Result<RecordBatch> {
    let (mut schemas, mut names, mut kinds) = (vec![], vec![], vec![]);
    relations.for_each(|schema, name, _| {
        schemas.push(schema.to_owned());
        names.push(name.to_owned());
        kinds.push(if schema == "events" { "BASE TABLE" } else { "VIEW" });
    });
    batch(vec![
        ("table_catalog", text(vec![CATALOG; names.len()])),
        ("table_schema", text(schemas)),
        ("table_name", text(names)),
        ("table_type", text(kinds)),
    ])
}

fn columns(relations: &Relations) -> Result<RecordBatch> {
    let (mut schemas, mut tables, mut names) = (vec![], vec![], vec![]);
    let (mut places, mut nullable, mut types) = (vec![], vec![], vec![]);
    relations.for_each(|schema, table, columns| {
        for (place, column) in column_types(columns).into_iter().enumerate() {
            schemas.push(schema.to_owned());
            tables.push(table.to_owned());
            nullable.push(if columns.field(place).is_nullable() { "YES" } else { "NO" });
            places.push(place as i64 + 1);
            names.push(column.name);
            types.push(column.r#type);
        }
    });
    batch(vec![
        ("table_catalog", text(vec![CATALOG; names.len()])),
        ("table_schema", text(schemas)),
        ("table_name", text(tables)),
        ("column_name", text(names)),
        ("ordinal_position", Arc::new(Int64Array::from(places))),
        ("is_nullable", text(nullable)),
        ("data_type", text(types)),
    ])
}

fn text<T: AsRef<str>>(values: Vec<T>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> Result<RecordBatch> {
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, array)| {
            let data_type: &DataType = array.data_type();
            Field::new(*name, data_type.clone(), false)
        })
        .collect();
    let schema: SchemaRef = Arc::new(Schema::new(fields));
    Ok(RecordBatch::try_new(schema, columns.into_iter().map(|(_, array)| array).collect())?)
}
