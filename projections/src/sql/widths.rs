//! Types that say how wide each of their values is, nulls too: a short text could so ask for any memory.

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::{Expr, LogicalPlan};

/// Bytes or elements that a value of such a type may have.
const WIDTH: usize = 1_024;

/// Refuses casts to such types that are wider. To be called before any rule computes what is constant.
pub fn check_widths(plan: &LogicalPlan) -> Result<()> {
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|e| match cast_to(e) {
                Some(data_type) if width(&data_type) > WIDTH => plan_err!(
                    "{data_type} has more than {WIDTH} elements in each value: cast to a list \
                     without a size"
                ),
                _ => Ok(TreeNodeRecursion::Continue),
            })
        })
    })?;
    Ok(())
}

/// The type that an expression casts to.
fn cast_to(expr: &Expr) -> Option<DataType> {
    match expr {
        Expr::Cast(cast) => Some(cast.field.data_type().clone()),
        Expr::TryCast(cast) => Some(cast.field.data_type().clone()),
        Expr::ScalarFunction(call)
            if matches!(call.func.name(), "arrow_cast" | "arrow_try_cast") =>
        {
            let Some(Expr::Literal(name, _)) = call.args.get(1) else { return None };
            name.try_as_str().flatten()?.parse().ok()
        }
        _ => None,
    }
}

/// How often the type says the width of what is in it, all together.
fn width(data_type: &DataType) -> usize {
    let size = |size: i32| usize::try_from(size).unwrap_or(0);
    match data_type {
        DataType::FixedSizeBinary(bytes) => size(*bytes),
        DataType::FixedSizeList(field, length) => {
            size(*length).saturating_mul(width(field.data_type()).max(1))
        }
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::ListView(field)
        | DataType::LargeListView(field)
        | DataType::Map(field, _)
        | DataType::RunEndEncoded(_, field) => width(field.data_type()),
        DataType::Struct(fields) => {
            fields.iter().fold(0, |all, field| width(field.data_type()).saturating_add(all))
        }
        DataType::Union(fields, _) => {
            fields.iter().map(|(_, field)| width(field.data_type())).max().unwrap_or(0)
        }
        DataType::Dictionary(_, values) => width(values),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::sql::dialect;

    #[test]
    fn a_type_is_as_wide_as_it_says_at_most_so_far() {
        let plan = |sql: &str| {
            let state = dialect::session().state();
            futures::executor::block_on(state.create_logical_plan(sql)).unwrap()
        };
        for wide in [
            "SELECT NULL::int[1000000000]",
            "SELECT TRY_CAST(NULL AS int[100][100])",
            "SELECT arrow_cast(NULL, 'FixedSizeBinary(2000000000)')",
            "SELECT 1 WHERE EXISTS (SELECT NULL::int[1025])",
        ] {
            let error = check_widths(&plan(wide)).unwrap_err().to_string();
            assert!(error.contains("1024 elements"), "{wide}: {error}");
        }
        for narrow in ["SELECT NULL::int[1024]", "SELECT NULL::int[]", "SELECT 1::decimal(38, 4)"] {
            check_widths(&plan(narrow)).unwrap();
        }
    }
}
