//! Smaller queries, one step at a time: a part dropped, or something simpler in its place. A step
//! may lead to a query that is none; whoever asks finds out and takes another.

use super::syntax::{Body, Expr, First, Grouping, Query, Relation, Select, Source};

/// The queries one step smaller, the boldest steps first.
pub(crate) fn queries(query: &Query) -> Vec<Query> {
    let mut smaller = parts(query);
    for i in 0..query.with.len() {
        let mut without = query.clone();
        without.with.remove(i);
        smaller.push(without);
    }
    smaller.extend(bodies(&query.body).into_iter().map(|body| Query { body, ..query.clone() }));
    for (i, (_, inner)) in query.with.iter().enumerate() {
        for inner in queries(inner) {
            let mut changed = query.clone();
            changed.with[i].1 = inner;
            smaller.push(changed);
        }
    }
    smaller
}

/// The queries inside one, with its `WITH`.
fn parts(query: &Query) -> Vec<Query> {
    let mut parts: Vec<Query> = query.with.iter().map(|(_, inner)| inner.clone()).collect();
    let mut within = |inner: &Query| {
        let mut part = inner.clone();
        part.with = query.with.iter().chain(&inner.with).cloned().collect();
        parts.push(part);
    };
    match &query.body {
        Body::Set { left, right, .. } => {
            within(left);
            within(right);
        }
        Body::Select(select) => {
            for source in
                std::iter::once(&select.from).chain(select.joins.iter().map(|j| &j.source))
            {
                if let Relation::Derived(inner) = &source.relation {
                    within(inner);
                }
            }
        }
        Body::Values(_) => {}
    }
    parts
}

fn bodies(body: &Body) -> Vec<Body> {
    match body {
        Body::Select(select) => {
            selects(select).into_iter().map(|s| Body::Select(Box::new(s))).collect()
        }
        Body::Set { operator, left, right } => {
            let set = |left: Query, right: Query| Body::Set {
                operator,
                left: Box::new(left),
                right: Box::new(right),
            };
            let narrower = (0..left.columns().len())
                .filter_map(|i| Some(set(without_item(left, i)?, without_item(right, i)?)));
            narrower
                .chain(queries(left).into_iter().map(|l| set(l, (**right).clone())))
                .chain(queries(right).into_iter().map(|r| set((**left).clone(), r)))
                .collect()
        }
        Body::Values(rows) => (0..rows.len())
            .filter(|_| rows.len() > 1)
            .map(|i| {
                let mut rows = rows.clone();
                rows.remove(i);
                Body::Values(rows)
            })
            .collect(),
    }
}

/// The query without its column at `i`, through all its sets.
fn without_item(query: &Query, i: usize) -> Option<Query> {
    let mut query = query.clone();
    match &mut query.body {
        Body::Select(select) if select.items.len() > 1 && i < select.items.len() => {
            select.items.remove(i);
        }
        Body::Set { left, right, .. } => {
            **left = without_item(left, i)?;
            **right = without_item(right, i)?;
        }
        _ => return None,
    }
    Some(query)
}

fn selects(select: &Select) -> Vec<Select> {
    let mut smaller = Vec::new();
    let mut push = |change: &dyn Fn(&mut Select)| {
        let mut changed = select.clone();
        change(&mut changed);
        if changed != *select {
            smaller.push(changed);
        }
    };
    for i in (0..select.joins.len()).rev() {
        push(&|s| {
            let gone = s.joins.remove(i).source.alias;
            drop_source(s, &gone);
        });
    }
    if let Some(first) = select.joins.first().filter(|join| join.kind != "CROSS JOIN") {
        let alias = select.from.alias.clone();
        push(&|s| {
            s.from = first.source.clone();
            s.joins.remove(0);
            drop_source(s, &alias);
        });
    }
    push(&|s| s.filter = None);
    push(&|s| s.having = None);
    push(&|s| s.distinct = false);
    push(&|s| s.first = None);
    if let Some(First::Limit { by, descending, count }) = &select.first {
        for by in exprs(by) {
            let (descending, count) = (*descending, *count);
            push(&|s| s.first = Some(First::Limit { by: by.clone(), descending, count }));
        }
    }
    for i in 0..select.items.len() {
        if select.items.len() > 1 {
            push(&|s| {
                s.items.remove(i);
            });
        }
    }
    for i in 0..select.joins.len() {
        if select.joins[i].on.is_some() {
            push(&|s| s.joins[i].kind = "JOIN");
        }
        for on in select.joins[i].on.iter().flat_map(exprs) {
            push(&|s| s.joins[i].on = Some(on.clone()));
        }
        for source in sources(&select.joins[i].source) {
            push(&|s| s.joins[i].source = source.clone());
        }
    }
    for source in sources(&select.from) {
        push(&|s| s.from = source.clone());
    }
    for grouping in select.grouping.iter().flat_map(groupings) {
        push(&|s| s.grouping = Some(grouping.clone()));
    }
    // A key and the column that shows it become smaller together.
    for (i, key) in select.grouping.iter().flat_map(Grouping::keys).enumerate() {
        for smaller in exprs(key) {
            push(&|s| {
                for (item, _) in &mut s.items {
                    if item == key {
                        *item = smaller.clone();
                    }
                }
                if let Some(Grouping::By(keys) | Grouping::Rollup(keys) | Grouping::Cube(keys)) =
                    &mut s.grouping
                {
                    keys[i] = smaller.clone();
                }
            });
        }
    }
    for (i, (item, _)) in select.items.iter().enumerate() {
        for item in exprs(item) {
            push(&|s| s.items[i].0 = item.clone());
        }
    }
    for filter in select.filter.iter().flat_map(exprs) {
        push(&|s| s.filter = Some(filter.clone()));
    }
    for having in select.having.iter().flat_map(exprs) {
        push(&|s| s.having = Some(having.clone()));
    }
    smaller
}

/// Puts constants in the place of a source's columns.
fn drop_source(select: &mut Select, alias: &str) {
    for (item, _) in &mut select.items {
        *item = item.without(alias);
    }
    for join in &mut select.joins {
        join.on = join.on.as_ref().map(|on| on.without(alias));
    }
    select.filter = select.filter.as_ref().map(|f| f.without(alias));
    select.having = select.having.as_ref().map(|h| h.without(alias));
    match &mut select.first {
        Some(First::Limit { by, .. }) => *by = by.without(alias),
        Some(First::Of { each, by }) => {
            *each = each.without(alias);
            *by = by.without(alias);
        }
        None => {}
    }
    if let Some(
        Grouping::By(keys)
        | Grouping::Rollup(keys)
        | Grouping::Cube(keys)
        | Grouping::Sets(keys, _),
    ) = &mut select.grouping
    {
        for key in keys {
            *key = key.without(alias);
        }
    }
}

fn sources(source: &Source) -> Vec<Source> {
    let Relation::Derived(query) = &source.relation else { return Vec::new() };
    queries(query)
        .into_iter()
        .map(|q| Source { relation: Relation::Derived(Box::new(q)), alias: source.alias.clone() })
        .collect()
}

fn groupings(grouping: &Grouping) -> Vec<Grouping> {
    let mut smaller = match grouping {
        Grouping::Rollup(keys) | Grouping::Cube(keys) => vec![Grouping::By(keys.clone())],
        Grouping::Sets(keys, sets) if sets.len() > 1 => (0..sets.len())
            .map(|i| {
                let mut sets = sets.clone();
                sets.remove(i);
                Grouping::Sets(keys.clone(), sets)
            })
            .collect(),
        _ => Vec::new(),
    };
    if let Grouping::By(keys) = grouping {
        smaller.extend((0..keys.len()).filter(|_| keys.len() > 1).map(|i| {
            let mut keys = keys.clone();
            keys.remove(i);
            Grouping::By(keys)
        }));
    }
    smaller
}

/// The expressions one step smaller, of the same type.
fn exprs(expr: &Expr) -> Vec<Expr> {
    let mut smaller = Vec::new();
    match expr {
        Expr::Column { .. } => {}
        Expr::Constant { ty, .. } => {
            let plain = Expr::constant(*ty);
            if *expr != plain {
                smaller.push(plain);
            }
        }
        Expr::Call { form, construct, args, ty } => {
            smaller.extend(args.iter().filter(|a| a.ty() == *ty).cloned());
            smaller.push(Expr::constant(*ty));
            for (i, arg) in args.iter().enumerate() {
                for arg in exprs(arg) {
                    let mut args = args.clone();
                    args[i] = arg;
                    smaller.push(Expr::call(form.clone(), construct, args, *ty));
                }
            }
        }
        Expr::Subquery { form, construct, operand, query, ty } => {
            smaller.push(Expr::constant(*ty));
            for query in queries(query) {
                smaller.push(Expr::Subquery {
                    form,
                    construct,
                    operand: operand.clone(),
                    query: Box::new(query),
                    ty: *ty,
                });
            }
        }
    }
    smaller
}
