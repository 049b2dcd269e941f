//! The functions of SQL: DataFusion's, but for those that tell of the engine, with those that can make
//! much from little bounded; and what a report writer misses among them: business days, fiscal periods,
//! hopping windows, and lists.
//!
//! They are the same in views and in ad hoc SQL; whoever plans SQL registers [`session`]. Those of the
//! engine's own are null where an argument is null, and follow from their arguments alone.

mod bounded;
mod business_days;
mod fiscal;
mod growth;
mod hop;
mod lists;
pub(crate) mod made;

use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Int64Array, ListArray};
use arrow::datatypes::DataType;
use datafusion::common::cast::{as_date32_array, as_int64_array, as_list_array};
use datafusion::common::{Result, plan_err};
use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::{ScalarFunctionArgs, ScalarUDF};

pub use bounded::{Account, Open, charge, charge_column};
pub use made::TooMuch;

/// Left out: what tells of the engine, or of the machine's clock.
const LEFT_OUT: [&str; 4] = ["version", "current_time", "arrow_metadata", "with_metadata"];

/// The scalar functions of a session.
pub fn session() -> Vec<Arc<ScalarUDF>> {
    SessionStateDefaults::default_scalar_functions()
        .into_iter()
        .filter(|function| !LEFT_OUT.contains(&function.name()))
        .map(bounded::bounded)
        .chain(scalar())
        .collect()
}

/// The engine's own.
pub fn scalar() -> Vec<Arc<ScalarUDF>> {
    let mut functions = vec![
        ScalarUDF::from(business_days::BusinessDays::new()),
        ScalarUDF::from(hop::Hop::new()),
        ScalarUDF::from(lists::MakeArray::new()),
        ScalarUDF::from(lists::StringToArray::new()),
        ScalarUDF::from(lists::ArrayLength::new()),
    ];
    functions.extend(fiscal::all().map(ScalarUDF::from));
    functions.into_iter().map(Arc::new).collect()
}

/// The arguments of one call, each an array of one value a row.
struct Arguments {
    arrays: Vec<ArrayRef>,
    rows: usize,
}

impl Arguments {
    fn new(args: ScalarFunctionArgs) -> Result<Self> {
        let rows = args.number_rows;
        let arrays =
            args.args.into_iter().map(|arg| arg.into_array(rows)).collect::<Result<Vec<_>>>()?;
        Ok(Self { arrays, rows })
    }

    fn nth(&self, place: usize) -> Result<&ArrayRef> {
        let Some(array) = self.arrays.get(place) else {
            return plan_err!("an argument is missing");
        };
        Ok(array)
    }

    fn dates(&self, place: usize) -> Result<&Date32Array> {
        as_date32_array(self.nth(place)?)
    }

    fn numbers(&self, place: usize) -> Result<&Int64Array> {
        as_int64_array(self.nth(place)?)
    }

    fn lists(&self, place: usize) -> Result<&ListArray> {
        as_list_array(self.nth(place)?)
    }
}

/// Whether a value of this type can be taken for a date.
fn is_date(data_type: &DataType) -> bool {
    data_type.is_null()
        || data_type.is_string()
        || matches!(data_type, DataType::Date32 | DataType::Date64 | DataType::Timestamp(..))
}

/// Whether a value of this type can be taken for a whole number.
fn is_number(data_type: &DataType) -> bool {
    data_type.is_null() || data_type.is_integer()
}

#[cfg(test)]
mod tests;
