//! `WHERE`: conditions on a row, and subqueries that refer to it.

use super::super::syntax::{Expr, Grouping, Query, Select, Ty};
use super::sources::text;
use super::{From, Grammar, finish};

impl Grammar<'_> {
    pub(super) fn condition(&mut self, columns: &[Expr]) -> Expr {
        match self.dice.below(100) {
            0..66 => {
                let depth = self.dice.weighted(&[(3, 1), (1, 2)]);
                self.expr(columns, Ty::Bool, depth)
            }
            66..78 => self.exists(columns),
            78..90 => self.in_query(columns),
            90..92 => {
                let (one, other) = (self.expr(columns, Ty::Bool, 1), self.exists(columns));
                Expr::call("($0 OR $1)", "EXISTS inside OR", vec![one, other], Ty::Bool)
            }
            92..96 => {
                let scalar = self.scalar_subquery(columns, None);
                let leaf = self.leaf(columns, scalar.ty());
                let form = *self.dice.pick(&["($0 = $1)", "($0 <= $1)", "($0 > $1)"]);
                Expr::call(form, "comparison", vec![leaf, scalar], Ty::Bool)
            }
            _ => {
                let (one, other) = (self.condition(columns), self.expr(columns, Ty::Bool, 1));
                and(one, other)
            }
        }
    }

    /// A `SELECT` over one relation, with the rows that match those outside if `correlated`.
    fn inner(&mut self, outer: &[Expr], correlated: bool) -> (Select, Vec<Expr>) {
        let of = self.dice.pick(&self.relations).clone();
        let (source, columns, total) = text(&of, format!("s{}", self.next_alias()));
        let mut filter = None;
        if correlated {
            filter = self.equality(&columns, outer);
        }
        if self.dice.chance(40) {
            let more = self.expr(&columns, Ty::Bool, 1);
            filter = filter.into_iter().chain([more]).reduce(and);
        }
        let from = From { source, joins: Vec::new(), columns: columns.clone(), total };
        (finish(from, Vec::new(), filter, false, None, None), columns)
    }

    fn exists(&mut self, outer: &[Expr]) -> Expr {
        let (mut select, columns) = self.inner(outer, true);
        if self.dice.chance(20) {
            let both: Vec<Expr> = outer.iter().chain(&columns).cloned().collect();
            let more = self.expr(&both, Ty::Bool, 1);
            select.filter = select.filter.into_iter().chain([more]).reduce(and);
        }
        select.items = vec![(Expr::constant(Ty::Int), "c0".into())];
        let (form, construct) = if self.dice.chance(50) {
            ("EXISTS (#)", "EXISTS")
        } else {
            ("NOT EXISTS (#)", "NOT EXISTS")
        };
        let query = Box::new(Query::select(select));
        Expr::Subquery { form, construct, operand: None, query, ty: Ty::Bool }
    }

    fn in_query(&mut self, outer: &[Expr]) -> Expr {
        let correlated = self.dice.chance(20);
        let (mut select, columns) = self.inner(outer, correlated);
        let ty = self.key_type();
        let operand = Some(Box::new(self.leaf(outer, ty)));
        select.items = vec![(self.leaf(&columns, ty), "c0".into())];
        let (form, construct) = if self.dice.chance(60) {
            ("($0 IN (#))", "IN a query")
        } else {
            ("($0 NOT IN (#))", "NOT IN a query")
        };
        let query = Box::new(Query::select(select));
        Expr::Subquery { form, construct, operand, query, ty: Ty::Bool }
    }

    pub(super) fn scalar_subquery(&mut self, outer: &[Expr], want: Option<Ty>) -> Expr {
        let correlated = self.dice.chance(65);
        let (mut select, columns) = self.inner(outer, correlated);
        let ty = want.unwrap_or(*self.dice.pick(&Ty::ALL));
        select.items = vec![(self.aggregate(&columns, ty), "c0".into())];
        select.grouping = Some(Grouping::All);
        let construct =
            if correlated { "a correlated scalar subquery" } else { "a scalar subquery" };
        let query = Box::new(Query::select(select));
        Expr::Subquery { form: "(#)", construct, operand: None, query, ty }
    }
}

pub(super) fn and(one: Expr, other: Expr) -> Expr {
    Expr::call("($0 AND $1)", "AND, OR, NOT", vec![one, other], Ty::Bool)
}
