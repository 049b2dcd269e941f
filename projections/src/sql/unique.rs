//! Which columns identify a row of a plan, as far as its shape says so.

use datafusion::common::{Column, DFSchema, JoinType};
use datafusion::logical_expr::{Distinct, Expr, Join, LogicalPlan, Projection};

use super::catalog::EVENTS;

/// A set of columns, by their places in the plan's schema, no two rows agree in.
type Key = Vec<usize>;

/// More are not looked for: each is tried at every order.
const MOST: usize = 8;

/// Whether no two rows of `plan` agree in all of `expressions`.
pub(super) fn identify<'a>(
    plan: &LogicalPlan,
    expressions: impl IntoIterator<Item = &'a Expr>,
) -> bool {
    let schema = plan.schema();
    let places: Vec<usize> = expressions.into_iter().filter_map(|e| place(e, schema)).collect();
    keys(plan).iter().any(|key| key.iter().all(|column| places.contains(column)))
}

/// The fewest columns known that identify a row of `plan` together with `expressions`; none if
/// nothing is known but all columns, or if one of them has no order.
pub(super) fn completing<'a>(
    plan: &LogicalPlan,
    expressions: impl IntoIterator<Item = &'a Expr>,
) -> Option<Vec<Expr>> {
    let schema = plan.schema();
    let places: Vec<usize> = expressions.into_iter().filter_map(|e| place(e, schema)).collect();
    let sortable = |key: &Key| key.iter().all(|c| !schema.field(*c).data_type().is_nested());
    let missing = |key: Key| -> Key { key.into_iter().filter(|c| !places.contains(c)).collect() };
    let fewest = keys(plan).into_iter().filter(sortable).map(missing).min_by_key(Vec::len)?;
    let column = |place: usize| Expr::Column(Column::from(schema.qualified_field(place)));
    Some(fewest.into_iter().map(column).collect())
}

/// The place of the column that an expression is.
fn place(expr: &Expr, schema: &DFSchema) -> Option<usize> {
    match expr {
        Expr::Column(column) => schema.maybe_index_of_column(column),
        Expr::Alias(alias) => place(&alias.expr, schema),
        _ => None,
    }
}

fn keys(plan: &LogicalPlan) -> Vec<Key> {
    let mut keys = match plan {
        LogicalPlan::TableScan(scan) if scan.table_name.schema() == Some(EVENTS) => {
            let id = scan.projected_schema.fields().iter().position(|f| f.name() == "event_id");
            id.map(|id| vec![id]).into_iter().collect()
        }
        LogicalPlan::Projection(projection) => projected(projection),
        LogicalPlan::Filter(filter) => keys(&filter.input),
        LogicalPlan::Sort(sort) => keys(&sort.input),
        LogicalPlan::Limit(limit) => keys(&limit.input),
        LogicalPlan::SubqueryAlias(alias) => keys(&alias.input),
        LogicalPlan::Window(window) => keys(&window.input),
        LogicalPlan::Distinct(Distinct::All(input)) => {
            let mut keys = keys(input);
            keys.push((0..input.schema().fields().len()).collect());
            keys
        }
        LogicalPlan::Aggregate(aggregate) => {
            let groups = aggregate.schema.fields().len() - aggregate.aggr_expr.len();
            vec![(0..groups).collect()]
        }
        LogicalPlan::Join(join) => joined(join),
        _ => Vec::new(),
    };
    keys.truncate(MOST);
    keys
}

fn projected(projection: &Projection) -> Vec<Key> {
    let schema = projection.input.schema();
    let places: Vec<Option<usize>> = projection.expr.iter().map(|e| place(e, schema)).collect();
    let after = |column: &usize| places.iter().position(|place| *place == Some(*column));
    keys(&projection.input).iter().filter_map(|key| key.iter().map(after).collect()).collect()
}

fn joined(join: &Join) -> Vec<Key> {
    match join.join_type {
        JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => return keys(&join.left),
        JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => {
            return keys(&join.right);
        }
        JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => {}
    }
    let (left, right) = (keys(&join.left), keys(&join.right));
    let offset = join.left.schema().fields().len();
    let mut all = Vec::new();
    // Where each row finds at most one partner, its own key is enough.
    if matches!(join.join_type, JoinType::Inner | JoinType::Left)
        && identify(&join.right, join.on.iter().map(|(_, right)| right))
    {
        all.extend(left.iter().cloned());
    }
    if matches!(join.join_type, JoinType::Inner | JoinType::Right)
        && identify(&join.left, join.on.iter().map(|(left, _)| left))
    {
        all.extend(right.iter().map(|key| key.iter().map(|c| c + offset).collect()));
    }
    for one in &left {
        for other in &right {
            all.push(one.iter().copied().chain(other.iter().map(|c| c + offset)).collect());
        }
    }
    all
}
