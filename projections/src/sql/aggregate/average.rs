//! Averages as exact sums over exact counts.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowNativeTypeOp, AsArray, Decimal128Array, Decimal256Array, Float64Array,
};
use arrow::datatypes::{DataType, Decimal256Type, Field, Int64Type, Schema, i256};
use datafusion::common::{Column, DFSchema, Result, plan_err};
use datafusion::functions_aggregate::count::count_udaf;
use datafusion::logical_expr::expr::{AggregateFunction, ScalarFunction};
use datafusion::logical_expr::{
    Cast, ColumnarValue, Expr, ExprSchemable, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};

use super::super::columns::name;
use super::super::{Compiled, Compiler};
use super::{Grouping, linear};
use crate::circuit::NodeId;
use crate::exact_sum;

/// What to add up for an average, and the decimal places of it; none for floats, which do not add
/// up to the same in every order.
pub(super) fn exact_argument(
    argument: &Expr,
    result: &DataType,
    input: &DFSchema,
) -> Option<(Expr, i8)> {
    match (result, argument) {
        (DataType::Decimal128(..) | DataType::Decimal256(..), _) => {
            match argument.get_type(input).ok()? {
                DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) => {
                    Some((argument.clone(), scale))
                }
                _ => None,
            }
        }
        // DataFusion makes whole numbers floats before it adds them up.
        (DataType::Float64, Expr::Cast(Cast { expr, .. })) => {
            let exact = expr.get_type(input).ok()?.is_integer();
            exact.then(|| (expr.as_ref().clone(), 0))
        }
        _ => None,
    }
}

/// The value that an argument is made of, and the argument over a column of that name which holds
/// the value. A cast that makes floats of whole numbers stays outside, so that they are still known
/// as such.
pub(super) fn whole_number(argument: &Expr, input: &DFSchema, column: &str) -> (Expr, Expr) {
    let column = Expr::Column(Column::from_name(column));
    match (exact_argument(argument, &DataType::Float64, input), argument) {
        (Some((value, _)), Expr::Cast(cast)) => {
            (value, Expr::Cast(Cast { expr: Box::new(column), ..cast.clone() }))
        }
        _ => (argument.clone(), column),
    }
}

impl Compiler {
    /// Linear functions of which some are averages: their sums and counts, and the quotients.
    pub(super) fn averages(
        &mut self,
        grouping: &Grouping<'_>,
        functions: &[AggregateFunction],
    ) -> Compiled<NodeId> {
        let width = grouping.groups.len();
        let mut fields: Vec<Field> =
            grouping.schema.fields()[..width].iter().map(|f| f.as_ref().clone()).collect();
        let mut outputs: Vec<Expr> = (0..width).map(column).collect();
        let mut columns = grouping.columns();
        let mut parts = Vec::new();
        for (i, function) in functions.iter().enumerate() {
            let result = grouping.schema.field(width + i).data_type();
            let argument = function.params.args.first();
            let exact = argument.and_then(|a| exact_argument(a, result, grouping.input_schema));
            let at = width + parts.len();
            let (Some((argument, scale)), "avg") = (exact, function.func.name()) else {
                fields.push(Field::new("", result.clone(), true));
                parts.push(linear(function, &mut columns));
                outputs.push(column(at));
                continue;
            };
            let (mut sum, mut count) = (function.clone(), function.clone());
            (sum.func, count.func) = (exact_sum(), count_udaf());
            sum.params.args = vec![argument.clone()];
            count.params.args = vec![argument];
            fields.push(Field::new("", DataType::Decimal256(76, scale), true));
            fields.push(Field::new("", DataType::Int64, true));
            parts.push(linear(&sum, &mut columns));
            parts.push(linear(&count, &mut columns));
            outputs.push(quotient(column(at), column(at + 1), result.clone()));
        }
        let schema = super::by_place(&Schema::new(fields));
        let sums = Grouping { schema: schema.clone(), ..*grouping };
        let node = self.linear_over(&sums, &columns, parts)?;
        let from = DFSchema::try_from(schema.as_ref().clone())?;
        self.project(node, &from, &outputs, grouping.schema.clone())
    }
}

fn column(place: usize) -> Expr {
    Expr::Column(Column::from_name(name(place)))
}

fn quotient(sum: Expr, count: Expr, result: DataType) -> Expr {
    let function = Quotient { signature: Signature::any(2, Volatility::Immutable), result };
    let func = Arc::new(ScalarUDF::from(function));
    Expr::ScalarFunction(ScalarFunction { func, args: vec![sum, count] })
}

/// An exact sum over a count, as DataFusion's `avg` rounds it: towards zero for decimals.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Quotient {
    signature: Signature,
    result: DataType,
}

impl ScalarUDFImpl for Quotient {
    fn name(&self) -> &'static str {
        "quotient"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.result.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [sums, counts] = arrays.as_slice() else {
            return plan_err!("an average takes a sum and a count");
        };
        let counts = counts.as_primitive::<Int64Type>();
        let DataType::Decimal256(_, from) = sums.data_type() else {
            return plan_err!("an average takes an exact sum");
        };
        let sums = sums.as_primitive::<Decimal256Type>();
        let pairs = (0..sums.len()).map(|row| {
            let count = counts.value(row);
            (sums.is_valid(row) && count != 0).then(|| (sums.value(row), count))
        });
        let scaled = |to: i8| {
            let factor = i256::from_i128(10).pow_checked(u32::try_from(to - from).unwrap_or(0));
            move |pair: Option<(i256, i64)>| {
                let (sum, count) = pair?;
                let sum = factor.as_ref().ok().and_then(|f| sum.checked_mul(*f))?;
                sum.checked_div(i256::from_i128(i128::from(count)))
            }
        };
        let array: ArrayRef = match &self.result {
            DataType::Float64 => {
                let quotient = |(sum, count)| Some(nearest(sum)? / count as f64);
                Arc::new(pairs.map(|pair| pair.and_then(quotient)).collect::<Float64Array>())
            }
            DataType::Decimal128(precision, scale) => {
                let most = 10_u128.pow(u32::from(*precision).min(38));
                let fits = |value: i256| value.to_i128().filter(|v| v.unsigned_abs() < most);
                let values: Decimal128Array =
                    pairs.map(scaled(*scale)).map(|v| v.and_then(fits)).collect();
                Arc::new(values.with_precision_and_scale(*precision, *scale)?)
            }
            DataType::Decimal256(precision, scale) => {
                let values: Decimal256Array = pairs.map(scaled(*scale)).collect();
                Arc::new(values.with_precision_and_scale(*precision, *scale)?)
            }
            other => return plan_err!("an average is never a {other}"),
        };
        Ok(ColumnarValue::Array(array))
    }
}

/// The nearest float.
fn nearest(sum: i256) -> Option<f64> {
    match sum.to_i128() {
        Some(sum) => Some(sum as f64),
        None => sum.to_string().parse().ok(),
    }
}
