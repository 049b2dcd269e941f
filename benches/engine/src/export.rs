//! Inputs and views as text, for peers that share nothing with the engine.
//!
//! A file has a line with the names of its columns, then a line a row; fields are parted by tabs,
//! a null is `\N`. Instants are microseconds since 1970, dates days since 1970; decimals are plain.

use std::collections::BTreeMap;
use std::fs::{File, create_dir_all};
use std::io::{BufWriter, Result, Write};
use std::path::Path;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Schema, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use projections::{Input, Partition, Tenant};

/// Writes `events/<type>.tsv` with the columns `input` (which one, from 0), `tenant` and those of
/// the relation, and `ticks.tsv` with the tenants' dates.
pub fn inputs(inputs: &[Input], dir: &Path) -> Result<()> {
    create_dir_all(dir.join("events"))?;
    let mut files: BTreeMap<String, BufWriter<File>> = BTreeMap::new();
    let mut ticks = BufWriter::new(File::create(dir.join("ticks.tsv"))?);
    writeln!(ticks, "tenant\ttoday")?;
    for (number, input) in inputs.iter().enumerate() {
        for batch in &input.events {
            let name = batch.event_type.name();
            if !files.contains_key(name) {
                let path = dir.join("events").join(format!("{name}.tsv"));
                let mut file = BufWriter::new(File::create(path)?);
                writeln!(file, "input\ttenant\t{}", names(batch.event_type.relation()))?;
                files.insert(name.to_owned(), file);
            }
            if let Some(file) = files.get_mut(name) {
                let tenant = |row: usize| batch.tenants.value(row);
                write(file, &batch.rows, |row| format!("{number}\t{}", tenant(row)))?;
            }
        }
        for tick in &input.ticks {
            let days = projections::clock::epoch_days(tick.today);
            writeln!(ticks, "{}\t{days}", tick.tenant.0)?;
        }
    }
    files.values_mut().try_for_each(Write::flush)?;
    ticks.flush()
}

/// Writes `views/<name>.tsv` with the columns `tenant` and those of the view.
///
/// # Panics
/// If a view has failed.
pub fn views(partition: &Partition, tenants: u32, dir: &Path) -> Result<()> {
    create_dir_all(dir.join("views"))?;
    let readers = partition.readers();
    for (index, view) in readers.views().iter().enumerate() {
        let path = dir.join("views").join(format!("{}.tsv", view.name()));
        let mut file = BufWriter::new(File::create(path)?);
        writeln!(file, "tenant\t{}", names(view.schema()))?;
        for tenant in 0..tenants {
            let snapshot = readers.snapshot(Tenant(tenant));
            for batch in snapshot.views()[index].batches().expect("the view can be read") {
                write(&mut file, &batch, |_| tenant.to_string())?;
            }
        }
        file.flush()?;
    }
    Ok(())
}

fn names(schema: &Schema) -> String {
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    names.join("\t")
}

fn write(file: &mut impl Write, rows: &RecordBatch, head: impl Fn(usize) -> String) -> Result<()> {
    let options = FormatOptions::new().with_null("\\N");
    let plain: Vec<ArrayRef> = rows.columns().iter().map(numbers).collect();
    let columns: Vec<ArrayFormatter<'_>> = plain
        .iter()
        .map(|column| ArrayFormatter::try_new(column, &options).expect("plain columns"))
        .collect();
    for row in 0..rows.num_rows() {
        write!(file, "{}", head(row))?;
        for column in &columns {
            write!(file, "\t{}", column.value(row))?;
        }
        writeln!(file)?;
    }
    Ok(())
}

/// Instants, in microseconds, and dates as numbers.
fn numbers(column: &ArrayRef) -> ArrayRef {
    let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
    let cast = |column: &ArrayRef, to: &DataType| cast(column, to).expect("numbers within range");
    match column.data_type() {
        DataType::Timestamp(..) => cast(&cast(column, &micros), &DataType::Int64),
        DataType::Date32 => cast(column, &DataType::Int32),
        _ => column.clone(),
    }
}
