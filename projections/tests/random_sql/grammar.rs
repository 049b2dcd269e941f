//! The grammar: makes queries over relations, most of which answer with rows.

mod conditions;
mod expressions;
mod sources;

use super::dice::Dice;
use super::syntax::{Body, Expr, First, Grouping, Join, LIST, Query, Select, Source, Ty};
use expressions::no_place;

/// Something to select from.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    /// How `FROM` names it.
    pub(crate) sql: String,
    pub(crate) construct: &'static str,
    pub(crate) columns: Vec<(String, Ty)>,
    /// Whether `event_id` tells its rows apart.
    pub(crate) events: bool,
}

/// Makes queries.
pub(crate) struct Grammar<'a> {
    pub(crate) dice: &'a mut Dice,
    /// Event types and views.
    relations: Vec<Named>,
    /// The `WITH` queries in scope.
    with: Vec<Named>,
    aliases: usize,
    /// Whether forms that may fail at run time are used.
    risky: bool,
}

/// What `FROM` brings into scope.
struct From {
    source: Source,
    joins: Vec<Join>,
    columns: Vec<Expr>,
    /// What orders the rows without ties that differ.
    total: Vec<Expr>,
}

impl<'a> Grammar<'a> {
    pub(crate) fn new(dice: &'a mut Dice, relations: Vec<Named>, risky: bool) -> Self {
        Self { dice, relations, with: Vec::new(), aliases: 0, risky }
    }

    /// A query, as a view's definition.
    pub(crate) fn view(&mut self) -> Query {
        let mut with = Vec::new();
        if self.dice.chance(15) {
            let query = self.query(None, 1);
            let name = format!("w{}", self.next_alias());
            self.with.push(Named {
                sql: name.clone(),
                construct: "WITH",
                columns: query.columns(),
                events: false,
            });
            with.push((name, query));
        }
        let mut query = self.query(None, 2);
        if let Body::Select(select) = &mut query.body
            && select.grouping.is_some()
            && self.dice.chance(20)
        {
            let shown = self.dice.pick(&select.items).0.clone();
            if let Expr::Call { args, .. } = shown
                && let Some(arg @ Expr::Column { .. }) = args.first()
            {
                let (arg, ty) = (arg.clone(), arg.ty());
                let list = Expr::call("array_agg($0 ORDER BY $0)", "array_agg", vec![arg], ty);
                select.items.push((list, LIST.into()));
            }
        }
        query.with = with;
        self.with.clear();
        query
    }

    fn next_alias(&mut self) -> usize {
        self.aliases += 1;
        self.aliases
    }

    /// A query whose columns have the types wanted, if any are.
    fn query(&mut self, want: Option<&[Ty]>, depth: usize) -> Query {
        if depth > 0 && self.dice.chance(14) {
            let left = self.query(want, depth - 1);
            let types: Vec<Ty> = left.columns().iter().map(|c| c.1).collect();
            let right = self.query(Some(&types), depth - 1);
            let operator = self.dice.weighted(&[
                (4, "UNION ALL"),
                (3, "UNION"),
                (2, "INTERSECT"),
                (2, "EXCEPT"),
            ]);
            let (left, right) = (Box::new(left), Box::new(right));
            return Query { with: Vec::new(), body: Body::Set { operator, left, right } };
        }
        Query::select(self.select(want, depth))
    }

    fn select(&mut self, want: Option<&[Ty]>, depth: usize) -> Select {
        let from = self.from(depth);
        let filter = self.dice.chance(30).then(|| self.condition(&from.columns));
        let shape = self.dice.below(100);
        if shape < 42 {
            self.plain(from, filter, want)
        } else if shape < 80 {
            self.grouped(from, filter, want)
        } else {
            self.windowed(from, filter, want)
        }
    }

    fn plain(&mut self, from: From, filter: Option<Expr>, want: Option<&[Ty]>) -> Select {
        let mut items = self.items(&from.columns, want, 2);
        if want.is_none() && self.dice.chance(8) {
            items.push(self.scalar_subquery(&from.columns, None));
        }
        if want.is_none() && self.dice.chance(4) {
            let ty = *self.dice.pick(&Ty::ALL);
            if ty == Ty::Instant {
                let at = vec![self.leaf(&from.columns, ty)];
                let form = "unnest(hop($0, INTERVAL '1 hour', INTERVAL '2 hours'))";
                items.push(Expr::call(form, "hop", at, ty));
            } else {
                let args = vec![self.expr(&from.columns, ty, 1), self.expr(&from.columns, ty, 0)];
                items.push(Expr::call("unnest(make_array($0, $1))", "UNNEST", args, ty));
            }
        }
        let columns = from.columns.clone();
        let distinct = self.dice.chance(12);
        let mut select = finish(from, items, filter, distinct, None, None);
        if !distinct {
            select.first = self.first(&columns, true);
        }
        select
    }

    fn grouped(&mut self, from: From, filter: Option<Expr>, want: Option<&[Ty]>) -> Select {
        let mut keys: Vec<Expr> = (0..self.dice.weighted(&[(6, 1), (4, 2), (1, 3)]))
            .map(|_| {
                let ty = self.key_type();
                let depth = usize::from(self.dice.chance(25));
                no_place(self.expr(&from.columns, ty, depth))
            })
            .collect();
        // DataFusion takes no key twice.
        keys.dedup();
        let grouping = match self.dice.below(100) {
            0..76 => Grouping::By(keys),
            76..84 => Grouping::All,
            84..89 => Grouping::Rollup(keys),
            89..94 => Grouping::Cube(keys),
            _ => {
                let all = (0..keys.len()).collect();
                Grouping::Sets(keys, vec![all, vec![], vec![0]])
            }
        };
        let mut leaves = grouping.keys().to_vec();
        let several =
            matches!(grouping, Grouping::Rollup(_) | Grouping::Cube(_) | Grouping::Sets(..));
        if several && self.dice.chance(40) {
            let key = vec![self.dice.pick(grouping.keys()).clone()];
            leaves.push(Expr::call("CAST(grouping($0) AS BIGINT)", "grouping()", key, Ty::Int));
        }
        for ty in want.unwrap_or(&[]) {
            leaves.push(self.aggregate(&from.columns, *ty));
        }
        for _ in 0..self.dice.weighted(&[(4, 1), (4, 2), (2, 3)]) {
            let ty = *self.dice.pick(&Ty::ALL);
            leaves.push(self.aggregate(&from.columns, ty));
        }
        let items = if let Some(types) = want {
            types.iter().map(|ty| self.leaf(&leaves, *ty)).collect()
        } else {
            let mut items = leaves.clone();
            if self.dice.chance(25) {
                let ty = *self.dice.pick(&Ty::ALL);
                items.push(self.expr(&leaves, ty, 1));
            }
            items
        };
        let having = self.dice.chance(20).then(|| self.expr(&leaves, Ty::Bool, 1));
        let mut select = finish(from, items, filter, false, Some(grouping), having);
        select.first = self.first(&leaves, false);
        select
    }

    fn windowed(&mut self, from: From, filter: Option<Expr>, want: Option<&[Ty]>) -> Select {
        let mut leaves = from.columns.clone();
        let mut windows = Vec::new();
        let partition = self.partition(&from.columns);
        for ty in want.unwrap_or(&[Ty::Int]) {
            windows.push(self.window(&from, &partition, *ty));
        }
        if self.dice.chance(50) {
            let ty = *self.dice.pick(&Ty::ALL);
            // Mostly one partition for all windows, as people write them.
            let own = self.partition(&from.columns);
            let over = if self.dice.chance(70) { &partition } else { &own };
            windows.push(self.window(&from, over, ty));
        }
        leaves.extend(windows.iter().cloned());
        let items = if let Some(types) = want {
            types.iter().map(|ty| self.leaf(&leaves, *ty)).collect()
        } else {
            let mut items = self.items(&from.columns, None, 1);
            items.extend(windows);
            if self.dice.chance(25) {
                let ty = *self.dice.pick(&Ty::ALL);
                items.push(self.expr(&leaves, ty, 1));
            }
            items
        };
        finish(from, items, filter, false, None, None)
    }

    /// Now and then the first of the rows, or of each key.
    fn first(&mut self, of: &[Expr], each: bool) -> Option<First> {
        if !self.dice.chance(6) {
            return None;
        }
        let ty = self.key_type();
        let by = self.leaf(of, ty);
        let by = self.ordering(by, of);
        if each && self.dice.chance(40) {
            let ty = self.key_type();
            let each = self.leaf(of, ty);
            return Some(First::Of { each: self.ordering(each, of), by });
        }
        let descending = self.dice.chance(50);
        Some(First::Limit { by, descending, count: 1 + self.dice.below(4) })
    }

    fn items(&mut self, columns: &[Expr], want: Option<&[Ty]>, depth: usize) -> Vec<Expr> {
        if let Some(types) = want {
            return types.iter().map(|ty| self.expr(columns, *ty, depth)).collect();
        }
        (0..self.dice.weighted(&[(2, 1), (4, 2), (4, 3), (2, 4)]))
            .map(|_| {
                let ty = *self.dice.pick(&Ty::ALL);
                let depth = self.dice.below(depth + 1);
                self.expr(columns, ty, depth)
            })
            .collect()
    }

    /// Keys are mostly of types with few values.
    fn key_type(&mut self) -> Ty {
        self.dice.weighted(&[
            (8, Ty::Text),
            (2, Ty::Date),
            (2, Ty::Bool),
            (1, Ty::Int),
            (1, Ty::Decimal),
            (1, Ty::Instant),
        ])
    }
}

/// The `SELECT` whose columns are `c0`, `c1`, …
fn finish(
    from: From,
    items: Vec<Expr>,
    filter: Option<Expr>,
    distinct: bool,
    grouping: Option<Grouping>,
    having: Option<Expr>,
) -> Select {
    let items = items.into_iter().enumerate().map(|(i, e)| (e, format!("c{i}"))).collect();
    let From { source, joins, .. } = from;
    Select { distinct, items, from: source, joins, filter, grouping, having, first: None }
}
