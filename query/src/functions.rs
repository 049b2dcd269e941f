//! The functions of a session: those that views have, but for casts to types that no answer is given in.
//!
//! The memory pool counts what operators hold, not what a function is just making, so the functions
//! that can make much text from little are bounded before they make it (`guard/texts.rs`).

use std::sync::Arc;

use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF};

/// Left out besides what views have not: what makes values of any type.
const LEFT_OUT: [&str; 2] = ["arrow_cast", "arrow_try_cast"];

/// The scalar functions of a session.
pub(crate) fn scalar() -> Vec<Arc<ScalarUDF>> {
    let mut functions = projections::functions::session();
    functions.retain(|function| !LEFT_OUT.contains(&function.name()));
    functions
}

/// The aggregate functions of a session; `sum` and `avg` are the exact ones, as in views.
pub(crate) fn aggregate() -> Vec<Arc<AggregateUDF>> {
    let exact = |function: Arc<AggregateUDF>| match function.name() {
        "sum" => projections::exact_sum(),
        "avg" => projections::exact_average(),
        _ => function,
    };
    SessionStateDefaults::default_aggregate_functions().into_iter().map(exact).collect()
}
