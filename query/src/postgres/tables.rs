//! The tables of `pg_catalog`, made from one tenant's relations.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float32Array, Int16Array, Int32Array, Int64Array, RecordBatch,
    RecordBatchOptions, StringArray, UInt32Array,
};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::catalog::{MemTable, TableProvider};
use datafusion::common::{Result, internal_err};

use super::names::{self, EVENTS_FROM, SETTINGS, TYPES};
use crate::catalog::{CATALOG, EVENTS, INFORMATION, Relations, VIEWS};

/// The numbers of the schemas.
const CATALOG_OID: u32 = 11;
const VIEWS_OID: u32 = 2_200;
const EVENTS_OID: u32 = 2_201;
const INFORMATION_OID: u32 = 13_000;

/// From where on views have their numbers; those below are PostgreSQL's own.
const VIEWS_FROM: u32 = 1 << 20;

/// A value of a row.
enum Cell {
    Number(u32),
    Text(String),
    Flag(bool),
}

/// The columns of a row that are not as they are in all of them.
type Row = Vec<(&'static str, Cell)>;

/// The table of that name.
pub(crate) fn table(name: &str, relations: &Relations) -> Result<Option<Arc<dyn TableProvider>>> {
    let Some(table) = names::find(name) else { return Ok(None) };
    let rows = match name {
        "pg_namespace" => namespaces(),
        "pg_class" => classes(relations),
        "pg_attribute" => attributes(relations),
        "pg_type" => types(),
        "pg_database" => vec![vec![("datname", text(CATALOG))]],
        "pg_roles" => vec![vec![("rolname", text("tidemark"))]],
        "pg_user" => vec![vec![("usename", text("tidemark"))]],
        "pg_am" => vec![vec![("amname", text("heap"))]],
        "pg_tablespace" => vec![vec![("spcname", text("pg_default"))]],
        "pg_tables" => tables(relations),
        "pg_views" => views(relations),
        "pg_rewrite" => definitions(relations),
        "pg_settings" => settings(),
        _ => Vec::new(),
    };
    let batch = batch(table.columns, &rows)?;
    Ok(Some(Arc::new(MemTable::try_new(batch.schema(), vec![vec![batch]])?)))
}

/// A relation of the tenant, and its number.
struct Numbered<'a> {
    oid: u32,
    schema: &'a str,
    name: String,
    columns: Schema,
}

/// The relations, each with a number that depends on its name alone, so that it is the same for the
/// next question; where two would have the same one, the later of them has the next.
fn numbered(relations: &Relations) -> Vec<Numbered<'static>> {
    let mut all = Vec::new();
    relations.for_each(|schema, name, columns| {
        let schema = if schema == EVENTS { EVENTS } else { VIEWS };
        all.push((schema, name.to_owned(), columns.clone()));
    });
    all.sort_unstable_by(|(a, x, _), (b, y, _)| (a, x).cmp(&(b, y)));
    let mut taken = BTreeSet::new();
    all.into_iter()
        .map(|(schema, name, columns)| {
            let from = if schema == EVENTS { EVENTS_FROM } else { VIEWS_FROM };
            let span = EVENTS_FROM - VIEWS_FROM;
            let mut oid = from + hash(&name) % span;
            while !taken.insert(oid) {
                oid = from + (oid - from + 1) % span;
            }
            Numbered { oid, schema, name, columns }
        })
        .collect()
}

/// A hash that is the same in every process: FNV-1a.
fn hash(name: &str) -> u32 {
    name.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

fn namespaces() -> Vec<Row> {
    [
        (CATALOG_OID, "pg_catalog"),
        (VIEWS_OID, VIEWS),
        (EVENTS_OID, EVENTS),
        (INFORMATION_OID, INFORMATION),
    ]
    .into_iter()
    .map(|(oid, name)| vec![("oid", Cell::Number(oid)), ("nspname", text(name))])
    .collect()
}

fn classes(relations: &Relations) -> Vec<Row> {
    let class = |relation: Numbered<'_>| {
        let is_events = relation.schema == EVENTS;
        vec![
            ("oid", Cell::Number(relation.oid)),
            ("relname", Cell::Text(relation.name)),
            ("relnamespace", Cell::Number(if is_events { EVENTS_OID } else { VIEWS_OID })),
            ("relkind", text(if is_events { "r" } else { "v" })),
            ("relam", Cell::Number(if is_events { 2 } else { 0 })),
            ("relhasrules", Cell::Flag(!is_events)),
            ("relnatts", Cell::Number(relation.columns.fields().len() as u32)),
        ]
    };
    numbered(relations).into_iter().map(class).collect()
}

fn attributes(relations: &Relations) -> Vec<Row> {
    let mut rows = Vec::new();
    for relation in numbered(relations) {
        for (place, field) in relation.columns.fields().iter().enumerate() {
            let (oid, length) = type_of(field.data_type());
            let mut row = vec![
                ("attrelid", Cell::Number(relation.oid)),
                ("attname", text(field.name())),
                ("atttypid", Cell::Number(oid)),
                ("attnum", Cell::Number(place as u32 + 1)),
                ("attnotnull", Cell::Flag(!field.is_nullable())),
                ("attlen", length_of(length)),
                ("attbyval", Cell::Flag(length.is_some())),
            ];
            if let DataType::Decimal128(precision, scale) = field.data_type()
                && let Ok(scale) = u32::try_from(*scale)
            {
                let modifier = (u32::from(*precision) << 16 | scale) + 4;
                row.push(("atttypmod", Cell::Number(modifier)));
            }
            if length.is_none() {
                row.push(("attstorage", text("x")));
            }
            rows.push(row);
        }
    }
    rows
}

/// The number of the type that a column is sent as, and its bytes where they are always as many.
pub(crate) fn type_of(data_type: &DataType) -> (u32, Option<u32>) {
    match data_type {
        DataType::Boolean => (16, Some(1)),
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => (21, Some(2)),
        DataType::Int32 | DataType::UInt16 => (23, Some(4)),
        DataType::Int64 => (20, Some(8)),
        DataType::UInt32 => (26, Some(4)),
        DataType::Float16 | DataType::Float32 => (700, Some(4)),
        DataType::Float64 => (701, Some(8)),
        DataType::Decimal128(..) | DataType::UInt64 => (1700, None),
        DataType::Date32 => (1082, Some(4)),
        DataType::Timestamp(_, None) => (1114, Some(8)),
        DataType::Timestamp(_, Some(_)) => (1184, Some(8)),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => (17, None),
        _ => (25, None),
    }
}

/// The name of the type in the SQL standard's words.
pub(crate) fn long_name(oid: u32) -> &'static str {
    TYPES.iter().find(|(known, _)| *known == oid).map_or("text", |(_, name)| *name)
}

/// The name by which PostgreSQL knows the type itself.
pub(crate) fn short_name(oid: u32) -> &'static str {
    match oid {
        16 => "bool",
        17 => "bytea",
        18 => "char",
        19 => "name",
        20 => "int8",
        21 => "int2",
        23 => "int4",
        26 => "oid",
        700 => "float4",
        701 => "float8",
        1042 => "bpchar",
        1043 => "varchar",
        1082 => "date",
        1114 => "timestamp",
        1184 => "timestamptz",
        1700 => "numeric",
        _ => "text",
    }
}

fn types() -> Vec<Row> {
    let each = |(oid, _): &(u32, &str)| {
        let (length, category) = match *oid {
            16 => (Some(1), "B"),
            18 => (Some(1), "Z"),
            19 => (Some(64), "S"),
            20 | 701 => (Some(8), "N"),
            21 => (Some(2), "N"),
            23 | 26 | 700 => (Some(4), "N"),
            1082 => (Some(4), "D"),
            1114 | 1184 => (Some(8), "D"),
            1700 => (None, "N"),
            17 => (None, "U"),
            _ => (None, "S"),
        };
        vec![
            ("oid", Cell::Number(*oid)),
            ("typname", text(short_name(*oid))),
            ("typlen", length_of(length)),
            ("typbyval", Cell::Flag(length.is_some_and(|bytes| bytes <= 8))),
            ("typcategory", text(category)),
            ("typispreferred", Cell::Flag(matches!(*oid, 16 | 25 | 26 | 701 | 1184))),
        ]
    };
    TYPES.iter().map(each).collect()
}

/// -1 for a length that varies, which no [`Cell::Number`] holds.
fn length_of(bytes: Option<u32>) -> Cell {
    bytes.map_or_else(|| text("-1"), Cell::Number)
}

fn tables(relations: &Relations) -> Vec<Row> {
    let events = numbered(relations).into_iter().filter(|relation| relation.schema == EVENTS);
    events
        .map(|relation| {
            vec![("schemaname", text(relation.schema)), ("tablename", Cell::Text(relation.name))]
        })
        .collect()
}

fn views(relations: &Relations) -> Vec<Row> {
    let views = relations.snapshot.views().iter().map(projections::ViewSnapshot::view);
    views
        .map(|view| {
            vec![
                ("schemaname", text(VIEWS)),
                ("viewname", text(view.name())),
                ("definition", text(view.sql())),
            ]
        })
        .collect()
}

/// What the views are made by, under their numbers.
fn definitions(relations: &Relations) -> Vec<Row> {
    let numbered = numbered(relations).into_iter().filter(|relation| relation.schema == VIEWS);
    let each = |relation: Numbered<'_>| {
        let view = relations.snapshot.view(&relation.name)?;
        Some(vec![
            ("oid", Cell::Number(relation.oid)),
            ("ev_class", Cell::Number(relation.oid)),
            ("ev_action", text(view.view().sql())),
        ])
    };
    numbered.filter_map(each).collect()
}

fn settings() -> Vec<Row> {
    let each = |(name, value): &(&str, &str)| {
        vec![("name", text(name)), ("setting", text(value)), ("reset_val", text(value))]
    };
    SETTINGS.iter().map(each).collect()
}

fn text(value: &str) -> Cell {
    Cell::Text(value.to_owned())
}

/// Rows with these columns.
fn batch(columns: &str, rows: &[Row]) -> Result<RecordBatch> {
    let (mut fields, mut arrays) = (Vec::new(), Vec::new());
    for column in columns.split_whitespace() {
        let (name, rest) = column.split_once(':').unwrap_or((column, "t"));
        let (kind, default) = match rest.split_once('=') {
            Some((kind, default)) => (kind, Some(default)),
            None => (rest, None),
        };
        let values: Vec<Option<String>> =
            rows.iter().map(|row| value(row, name).or(default.map(str::to_owned))).collect();
        let Some(array) = array(kind, &values) else {
            return internal_err!("the catalog's column {name} is not {kind}");
        };
        fields.push(Field::new(name, array.data_type().clone(), true));
        arrays.push(array);
    }
    let rows = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    Ok(RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &rows)?)
}

/// The value of a column in a row, as text.
fn value(row: &Row, name: &str) -> Option<String> {
    let (_, cell) = row.iter().find(|(column, _)| *column == name)?;
    Some(match cell {
        Cell::Number(number) => number.to_string(),
        Cell::Text(text) => text.clone(),
        Cell::Flag(flag) => flag.to_string(),
    })
}

fn array(kind: &str, values: &[Option<String>]) -> Option<ArrayRef> {
    fn read<T: std::str::FromStr + Default>(values: &[Option<String>]) -> Option<Vec<T>> {
        let each = values.iter().map(|value| match value {
            Some(value) => value.parse().ok(),
            None => Some(T::default()),
        });
        each.collect()
    }
    Some(match kind {
        "o" => Arc::new(UInt32Array::from(read::<u32>(values)?)),
        "s" => Arc::new(Int16Array::from(read::<i16>(values)?)),
        "i" => Arc::new(Int32Array::from(read::<i32>(values)?)),
        "l" => Arc::new(Int64Array::from(read::<i64>(values)?)),
        "f" => Arc::new(Float32Array::from(read::<f32>(values)?)),
        "b" => Arc::new(BooleanArray::from(read::<bool>(values)?)),
        _ => Arc::new(values.iter().map(Option::as_deref).collect::<StringArray>()),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use arrow::datatypes::TimeUnit;

    use super::*;

    #[test]
    fn every_table_can_be_made() {
        for table in names::TABLES {
            let batch = batch(table.columns, &[Vec::new()]).unwrap();
            assert_eq!(batch.num_rows(), 1, "{}", table.name);
            assert_eq!(batch.num_columns(), table.columns.split_whitespace().count());
        }
    }

    #[test]
    fn every_type_of_a_column_has_a_name() {
        for data_type in [
            DataType::Boolean,
            DataType::Int64,
            DataType::Float64,
            DataType::Decimal128(38, 4),
            DataType::Date32,
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            DataType::Utf8,
        ] {
            let (oid, _) = type_of(&data_type);
            assert!(TYPES.iter().any(|(known, _)| *known == oid), "{data_type}");
        }
    }
}
