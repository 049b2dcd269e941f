//! `sum` and `avg` that are never wrong and never fail: DataFusion's own, carried out in 256 bits.
//!
//! DataFusion adds in the type of the result and wraps without a word when that is too small; an average
//! that its type cannot hold is an error. Here the values are widened first, and a figure that the
//! result's type cannot hold is null.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::functions_aggregate::average::avg_udaf;
use datafusion::functions_aggregate::sum::sum_udaf;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, ReversedUDAF, Signature,
};

/// The aggregate function `sum`, to be registered in place of DataFusion's.
pub fn exact_sum() -> Arc<AggregateUDF> {
    Arc::new(AggregateUDF::from(Exact { inner: sum_udaf() }))
}

/// The aggregate function `avg`, to be registered in place of DataFusion's.
pub fn exact_average() -> Arc<AggregateUDF> {
    Arc::new(AggregateUDF::from(Exact { inner: avg_udaf() }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Exact {
    inner: Arc<AggregateUDF>,
}

/// The types in which a function is carried out.
struct Wide {
    argument: DataType,
    result: DataType,
}

impl Wide {
    /// Those of a sum, whose result could be too small.
    fn sum(result: &DataType) -> Option<Self> {
        let wide = match result {
            DataType::Decimal32(_, scale)
            | DataType::Decimal64(_, scale)
            | DataType::Decimal128(_, scale) => DataType::Decimal256(76, *scale),
            DataType::Int64 | DataType::UInt64 => DataType::Decimal256(76, 0),
            _ => return None,
        };
        Some(Self { argument: wide.clone(), result: wide })
    }

    /// Those of an average.
    fn average(argument: &DataType, result: &DataType) -> Option<Self> {
        let scale = |decimal: &DataType| match decimal {
            DataType::Decimal32(_, scale)
            | DataType::Decimal64(_, scale)
            | DataType::Decimal128(_, scale) => Some(*scale),
            _ => None,
        };
        let wide = |decimal: &DataType| Some(DataType::Decimal256(76, scale(decimal)?));
        Some(Self { argument: wide(argument)?, result: wide(result)? })
    }

    /// Has an accumulator made for these types.
    fn made<T>(
        &self,
        args: &AccumulatorArgs<'_>,
        make: impl FnOnce(AccumulatorArgs<'_>) -> Result<T>,
    ) -> Result<T> {
        let expr_fields = fields(args.expr_fields, &self.argument);
        let return_field = field(&args.return_field, &self.result);
        make(AccumulatorArgs { return_field, expr_fields: &expr_fields, ..*args })
    }
}

/// The same field of another type.
fn field(field: &FieldRef, data_type: &DataType) -> FieldRef {
    Arc::new(Field::clone(field).with_data_type(data_type.clone()))
}

fn fields(given: &[FieldRef], data_type: &DataType) -> Vec<FieldRef> {
    given.iter().map(|given| field(given, data_type)).collect()
}

impl Exact {
    /// The types to carry it out in, over these arguments; none where its own will do.
    fn wide(&self, arguments: &[FieldRef], result: &FieldRef) -> Option<Wide> {
        if self.name() == "sum" {
            return Wide::sum(result.data_type());
        }
        Wide::average(arguments.first()?.data_type(), result.data_type())
    }
}

impl AggregateUDFImpl for Exact {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arg_types)
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let Some(wide) = self.wide(args.expr_fields, &args.return_field) else {
            return self.inner.accumulator(args);
        };
        let result = args.return_field.data_type().clone();
        let inner = wide.made(&args, |args| self.inner.accumulator(args))?;
        Ok(Box::new(Widened { inner, wide: wide.argument, result }))
    }

    fn create_sliding_accumulator(
        &self,
        args: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn Accumulator>> {
        let wide = self.wide(args.expr_fields, &args.return_field);
        // Distinct values in a sliding frame are there for whole numbers only.
        let Some(wide) = wide.filter(|_| !args.is_distinct) else {
            return self.inner.create_sliding_accumulator(args);
        };
        let result = args.return_field.data_type().clone();
        let inner = wide.made(&args, |args| self.inner.create_sliding_accumulator(args))?;
        Ok(Box::new(Widened { inner, wide: wide.argument, result }))
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        self.inner.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        let Some(wide) = self.wide(args.expr_fields, &args.return_field) else {
            return self.inner.create_groups_accumulator(args);
        };
        let result = args.return_field.data_type().clone();
        let inner = wide.made(&args, |args| self.inner.create_groups_accumulator(args))?;
        Ok(Box::new(WidenedGroups { inner, wide: wide.argument, result }))
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let Some(wide) = self.wide(args.input_fields, &args.return_field) else {
            return self.inner.state_fields(args);
        };
        let input_fields = fields(args.input_fields, &wide.argument);
        let return_field = field(&args.return_field, &wide.result);
        self.inner.state_fields(StateFieldsArgs {
            input_fields: &input_fields,
            return_field,
            ..args
        })
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

/// The figure in the type of the result; null where it does not fit.
fn narrowed(figure: &ArrayRef, result: &DataType) -> Result<ArrayRef> {
    let options = CastOptions { safe: true, ..CastOptions::default() };
    Ok(cast_with_options(figure, result, &options)?)
}

fn widen(values: &[ArrayRef], wide: &DataType) -> Result<Vec<ArrayRef>> {
    values.iter().map(|values| Ok(cast(values, wide)?)).collect()
}

/// One group's figure.
#[derive(Debug)]
struct Widened {
    inner: Box<dyn Accumulator>,
    wide: DataType,
    result: DataType,
}

impl Accumulator for Widened {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.inner.update_batch(&widen(values, &self.wide)?)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.inner.retract_batch(&widen(values, &self.wide)?)
    }

    fn supports_retract_batch(&self) -> bool {
        self.inner.supports_retract_batch()
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let figure = self.inner.evaluate()?.to_array()?;
        ScalarValue::try_from_array(&narrowed(&figure, &self.result)?, 0)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.inner.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.inner.state()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.inner.merge_batch(states)
    }
}

/// The figures of many groups.
struct WidenedGroups {
    inner: Box<dyn GroupsAccumulator>,
    wide: DataType,
    result: DataType,
}

impl GroupsAccumulator for WidenedGroups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        let values = widen(values, &self.wide)?;
        self.inner.update_batch(&values, group_indices, opt_filter, total_num_groups)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        narrowed(&self.inner.evaluate(emit_to)?, &self.result)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        self.inner.state(emit_to)
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        self.inner.merge_batch(values, group_indices, total_num_groups)
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        self.inner.convert_to_state(&widen(values, &self.wide)?, opt_filter)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.inner.size()
    }
}

#[cfg(test)]
mod tests;
