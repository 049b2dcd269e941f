//! `FROM`: relations, subqueries and patterns, and how they are joined.

use super::super::patterns;
use super::super::syntax::{Body, Expr, Grouping, Join, Query, Relation, Source, Ty};
use super::conditions::and;
use super::{From, Grammar, Named, finish};

impl Grammar<'_> {
    pub(super) fn from(&mut self, depth: usize) -> From {
        let (source, columns, total) = self.source(depth);
        let mut from = From { source, joins: Vec::new(), columns, total };
        for _ in 0..self.dice.weighted(&[(50, 0), (38, 1), (12, 2)]) {
            self.join(&mut from, depth);
        }
        from
    }

    fn source(&mut self, depth: usize) -> (Source, Vec<Expr>, Vec<Expr>) {
        let alias = format!("s{}", self.next_alias());
        if depth > 0 && self.dice.chance(13) {
            let query = self.query(None, depth - 1);
            let columns = columns(&alias, &query.columns());
            return (
                Source { relation: Relation::Derived(Box::new(query)), alias },
                columns.clone(),
                columns,
            );
        }
        if self.dice.chance(3) {
            let query = self.values();
            let columns = columns(&alias, &query.columns());
            return (
                Source { relation: Relation::Derived(Box::new(query)), alias },
                columns.clone(),
                columns,
            );
        }
        if self.dice.chance(9) {
            let events: Vec<Named> = self.relations.iter().filter(|r| r.events).cloned().collect();
            let named = patterns::any(self.dice, &events);
            return text(&named, alias);
        }
        let named = if !self.with.is_empty() && self.dice.chance(50) {
            self.dice.pick(&self.with).clone()
        } else {
            // A view may be empty, and is so for all that read it.
            let events = if self.dice.chance(50) {
                self.relations.iter().filter(|r| r.events).count()
            } else {
                self.relations.len()
            };
            self.relations[self.dice.below(events)].clone()
        };
        text(&named, alias)
    }

    fn values(&mut self) -> Query {
        let types: Vec<Ty> = (0..2).map(|_| *self.dice.pick(&Ty::ALL)).collect();
        let row = |grammar: &mut Self| types.iter().map(|ty| grammar.constant(*ty)).collect();
        let rows = (0..=self.dice.below(3)).map(|_| row(self)).collect();
        Query { with: Vec::new(), body: Body::Values(rows) }
    }

    fn join(&mut self, from: &mut From, depth: usize) {
        let kind = self.dice.weighted(&[
            (8, "JOIN"),
            (8, "LEFT JOIN"),
            (3, "RIGHT JOIN"),
            (3, "FULL JOIN"),
            (2, "LEFT SEMI JOIN"),
            (2, "LEFT ANTI JOIN"),
            (2, "CROSS JOIN"),
        ]);
        if kind == "CROSS JOIN" {
            return self.cross_join(from);
        }
        let (source, columns, total) = self.source(depth.min(1));
        let mut on = self.equality(&from.columns, &columns);
        let both: Vec<Expr> = from.columns.iter().chain(&columns).cloned().collect();
        if self.dice.chance(15) && on.is_some() {
            let more = self.equality(&from.columns, &columns);
            on = on.into_iter().chain(more).reduce(and);
        }
        if self.dice.chance(20) {
            let residual = self.expr(&both, Ty::Bool, 1);
            on = on.into_iter().chain([residual]).reduce(and);
        }
        let on = on.unwrap_or_else(|| self.expr(&both, Ty::Bool, 1));
        from.joins.push(Join { kind, source, on: Some(on) });
        if !matches!(kind, "LEFT SEMI JOIN" | "LEFT ANTI JOIN") {
            from.columns.extend(columns);
            from.total.extend(total);
        }
    }

    /// With a side of a single row.
    fn cross_join(&mut self, from: &mut From) {
        let of = self.dice.pick(&self.relations).clone();
        let (source, columns, _) = text(&of, format!("s{}", self.next_alias()));
        let inner = From { source, joins: Vec::new(), columns: columns.clone(), total: columns };
        let ty = *self.dice.pick(&Ty::ALL);
        let items = vec![self.aggregate(&inner.columns, ty)];
        let select = finish(inner, items, None, false, Some(Grouping::All), None);
        let query = Query::select(select);
        let alias = format!("s{}", self.next_alias());
        from.columns.extend(self::columns(&alias, &query.columns()));
        from.total.extend(self::columns(&alias, &query.columns()));
        let source = Source { relation: Relation::Derived(Box::new(query)), alias };
        from.joins.push(Join { kind: "CROSS JOIN", source, on: None });
    }

    /// An equality between the sides, mostly of columns.
    pub(super) fn equality(&mut self, left: &[Expr], right: &[Expr]) -> Option<Expr> {
        let wanted = if self.dice.chance(70) { Ty::Text } else { self.key_type() };
        for ty in std::iter::once(wanted).chain([Ty::Text, Ty::Date, Ty::Int, Ty::Bool]) {
            let of = |side: &[Expr]| -> Vec<Expr> {
                side.iter().filter(|c| c.ty() == ty && !is_event_id(c)).cloned().collect()
            };
            let (lefts, rights) = (of(left), of(right));
            if lefts.is_empty() || rights.is_empty() {
                continue;
            }
            let mut side = |columns: &[Expr], all: &[Expr]| {
                if self.dice.chance(12) {
                    self.expr(all, ty, 1)
                } else {
                    self.dice.pick(columns).clone()
                }
            };
            let sides = vec![side(&lefts, left), side(&rights, right)];
            let nulls_equal = self.dice.chance(12);
            let (form, construct) = if nulls_equal {
                ("($0 IS NOT DISTINCT FROM $1)", "IS NOT DISTINCT FROM as a key")
            } else {
                ("($0 = $1)", "comparison")
            };
            return Some(Expr::call(form, construct, sides, Ty::Bool));
        }
        None
    }
}

pub(super) fn text(named: &Named, alias: String) -> (Source, Vec<Expr>, Vec<Expr>) {
    let columns = columns(&alias, &named.columns);
    let total = if named.events {
        columns.iter().filter(|c| is_event_id(c)).cloned().collect()
    } else {
        columns.clone()
    };
    let relation = Relation::Text { sql: named.sql.clone(), construct: named.construct };
    (Source { relation, alias }, columns, total)
}

fn columns(alias: &str, columns: &[(String, Ty)]) -> Vec<Expr> {
    let column = |(name, ty): &(String, Ty)| Expr::Column {
        source: alias.to_owned(),
        name: name.clone(),
        ty: *ty,
    };
    columns.iter().map(column).collect()
}

fn is_event_id(expr: &Expr) -> bool {
    matches!(expr, Expr::Column { name, .. } if name == "event_id")
}
