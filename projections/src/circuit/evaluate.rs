//! Operators without state: project, filter, union; and how expressions are evaluated.
//!
//! What calls a function or puts texts together is evaluated a slice of the rows at a time, so that what
//! it makes on the way stays small, and a step that makes too much or takes too long ends between two
//! slices ([`made`]).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::compute::{concat, prep_null_mask_filter};
use arrow::datatypes::SchemaRef;
use arrow::util::display::array_value_to_string;
use datafusion::logical_expr::Operator as Symbol;
use datafusion::physical_expr::expressions::{BinaryExpr, LikeExpr};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};

use super::{Operator, Step};
use crate::change::batch;
use crate::functions::made;
use crate::{Change, RuntimeError};

/// Bytes and rows of a slice.
const SLICE_BYTES: usize = 1 << 20;
const SLICE_ROWS: usize = 4_096;
/// Rows of a slice however wide they are.
const LEAST_ROWS: usize = 64;

/// Scalar expressions over the columns of one input.
#[derive(Debug, Clone)]
pub(crate) struct Expressions {
    expressions: Vec<Expression>,
    schema: SchemaRef,
}

#[derive(Debug, Clone)]
struct Expression {
    physical: Arc<dyn PhysicalExpr>,
    is_sliced: bool,
}

impl Expressions {
    /// Expressions that make rows of `schema`.
    pub(crate) fn new(expressions: Vec<Arc<dyn PhysicalExpr>>, schema: SchemaRef) -> Self {
        let expression = |physical: Arc<dyn PhysicalExpr>| {
            let is_sliced = is_sliced(physical.as_ref());
            Expression { physical, is_sliced }
        };
        Self { expressions: expressions.into_iter().map(expression).collect(), schema }
    }

    /// The columns they make.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The values of all expressions for all rows.
    pub(crate) fn columns(&self, rows: &RecordBatch) -> Result<Vec<ArrayRef>, RuntimeError> {
        let columns = |rows: &RecordBatch| -> Result<Vec<ArrayRef>, RuntimeError> {
            let value = |e: &Expression| values(e.physical.as_ref(), e.is_sliced, rows);
            made::within(|| guarded(|| self.expressions.iter().map(value).collect()))
        };
        columns(rows).map_err(|error| blame(rows, error, |part| columns(part).map(drop)))
    }

    /// The same as a batch.
    pub(crate) fn evaluate(&self, rows: &RecordBatch) -> Result<RecordBatch, RuntimeError> {
        Ok(batch(self.schema.clone(), self.columns(rows)?, rows.num_rows())?)
    }
}

/// The rows for which a predicate is true; not those for which it is null.
pub(crate) fn matching(
    predicate: &dyn PhysicalExpr,
    rows: &RecordBatch,
) -> Result<BooleanArray, RuntimeError> {
    let is_sliced = is_sliced(predicate);
    let values = |rows: &RecordBatch| -> Result<ArrayRef, RuntimeError> {
        made::within(|| guarded(|| values(predicate, is_sliced, rows)))
    };
    let values = values(rows).map_err(|error| blame(rows, error, |part| values(part).map(drop)))?;
    let values = values
        .as_boolean_opt()
        .ok_or_else(|| RuntimeError { message: format!("{predicate} is no condition") })?;
    Ok(truths(values))
}

/// Whether an expression may take long or make much: it calls a function, or looks into texts.
fn is_sliced(expression: &dyn PhysicalExpr) -> bool {
    let is_costly = expression.is::<ScalarFunctionExpr>()
        || expression.is::<LikeExpr>()
        || expression.downcast_ref::<BinaryExpr>().is_some_and(|binary| {
            matches!(
                binary.op(),
                Symbol::StringConcat
                    | Symbol::RegexMatch
                    | Symbol::RegexIMatch
                    | Symbol::RegexNotMatch
                    | Symbol::RegexNotIMatch
            )
        });
    is_costly || expression.children().into_iter().any(|child| is_sliced(child.as_ref()))
}

/// The values of an expression for all rows.
fn values(
    expression: &dyn PhysicalExpr,
    is_sliced: bool,
    rows: &RecordBatch,
) -> Result<ArrayRef, RuntimeError> {
    let whole = |rows: &RecordBatch| -> Result<ArrayRef, RuntimeError> {
        Ok(expression.evaluate(rows)?.into_array(rows.num_rows())?)
    };
    if !is_sliced {
        return whole(rows);
    }
    let (count, most) = (rows.num_rows(), slice_rows(rows));
    if count <= most {
        return made::kept(|| whole(rows));
    }
    let slices = (0..count).step_by(most).map(|start| rows.slice(start, most.min(count - start)));
    let parts = slices.map(|slice| made::kept(|| whole(&slice)));
    let parts = parts.collect::<Result<Vec<_>, _>>()?;
    let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
    Ok(concat(&parts)?)
}

/// How many rows of a batch make a slice.
fn slice_rows(rows: &RecordBatch) -> usize {
    let width = rows.get_array_memory_size() / rows.num_rows().max(1);
    (SLICE_BYTES / width.max(1)).clamp(LEAST_ROWS, SLICE_ROWS)
}

/// The condition with its nulls as false.
pub(crate) fn truths(values: &BooleanArray) -> BooleanArray {
    if values.null_count() == 0 { values.clone() } else { prep_null_mask_filter(values) }
}

/// Does what `DataFusion` does, which in some places gives up with a panic: that is an error.
pub(super) fn guarded<T>(
    work: impl FnOnce() -> Result<T, RuntimeError>,
) -> Result<T, RuntimeError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<&str>().copied();
        let said = said.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        let said = said.unwrap_or("no reason given");
        Err(RuntimeError { message: format!("it could not be computed: {said}") })
    })
}

/// Columns of a row that an error shows, and the characters of each.
const SHOWN_COLUMNS: usize = 4;
const SHOWN_CHARACTERS: usize = 64;

/// The error of the first row that cannot be evaluated alone, with its first columns: by them it
/// is found. The error as it is if there is no such row.
pub(super) fn blame(
    rows: &RecordBatch,
    error: RuntimeError,
    evaluate: impl Fn(&RecordBatch) -> Result<(), RuntimeError>,
) -> RuntimeError {
    // Where a step takes too long, no row of it is to blame, and nothing is evaluated any more.
    if made::is_over() {
        return error;
    }
    let evaluate = |part: &RecordBatch| made::tried(|| evaluate(part));
    let (mut start, mut length, mut error) = (0, rows.num_rows(), error);
    while length > 1 {
        let half = length / 2;
        if let Err(of_half) = evaluate(&rows.slice(start, half)) {
            (length, error) = (half, of_half);
        } else {
            (start, length) = (start + half, length - half);
            match evaluate(&rows.slice(start, length)) {
                Err(of_half) => error = of_half,
                // They fail together only.
                Ok(()) => return error,
            }
        }
    }
    let shown = rows.schema_ref().fields().iter().zip(rows.columns()).take(SHOWN_COLUMNS);
    let shown = shown.filter(|_| length == 1).map(|(field, column)| {
        let value = array_value_to_string(column, start).unwrap_or_default();
        let value: String = value.chars().take(SHOWN_CHARACTERS).collect();
        format!("{}={value}", field.name())
    });
    let shown: Vec<String> = shown.collect();
    if !shown.is_empty() {
        error.message.push_str("; in the row ");
        error.message.push_str(&shown.join(", "));
    }
    error
}

/// New columns from old ones.
pub(crate) struct Project(pub(crate) Expressions);

impl Operator for Project {
    fn is_one_row(&self, inputs: &[bool]) -> bool {
        inputs[0]
    }

    fn step(&mut self, step: &Step<'_>) -> Result<Change, RuntimeError> {
        let change = &step.inputs[0];
        Ok(change.with_rows(self.0.evaluate(&change.rows)?))
    }

    fn append_only(&mut self, inputs: &[bool]) -> bool {
        inputs[0]
    }
}

/// The rows that satisfy a predicate.
pub(crate) struct Filter(pub(crate) Arc<dyn PhysicalExpr>);

impl Operator for Filter {
    fn is_one_row(&self, inputs: &[bool]) -> bool {
        inputs[0]
    }

    fn step(&mut self, step: &Step<'_>) -> Result<Change, RuntimeError> {
        let change = &step.inputs[0];
        Ok(change.filter(&matching(self.0.as_ref(), &change.rows)?)?)
    }

    fn append_only(&mut self, inputs: &[bool]) -> bool {
        inputs[0]
    }
}

/// The rows of all inputs.
pub(crate) struct Union(pub(crate) SchemaRef);

impl Operator for Union {
    fn step(&mut self, step: &Step<'_>) -> Result<Change, RuntimeError> {
        let parts = step
            .inputs
            .iter()
            .filter(|change| !change.is_empty())
            .map(|change| {
                let columns = change.rows.columns().to_vec();
                Ok(change.with_rows(batch(self.0.clone(), columns, change.len())?))
            })
            .collect::<Result<Vec<_>, RuntimeError>>()?;
        Ok(Change::concat(&self.0, &parts)?)
    }

    fn append_only(&mut self, inputs: &[bool]) -> bool {
        inputs.iter().all(|input| *input)
    }
}
