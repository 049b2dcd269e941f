//! Expressions over the columns in scope: of a row, of a group, and over a window.

use super::super::forms::{AGGREGATES, FRAMES, Form, Of, Over, RISKS, SCALARS, WINDOWS};
use super::super::syntax::{CLOCK, Expr, Ty};
use super::{From, Grammar};

impl Grammar<'_> {
    pub(super) fn constant(&mut self, ty: Ty) -> Expr {
        if matches!(ty, Ty::Date | Ty::Instant) && self.dice.chance(30) {
            let sql = CLOCK[usize::from(ty == Ty::Instant)];
            return Expr::Constant { sql, ty };
        }
        let sql = if self.dice.chance(8) { ty.null() } else { self.dice.pick(ty.constants()) };
        Expr::Constant { sql, ty }
    }

    /// One of the columns if any has the type.
    pub(super) fn leaf(&mut self, of: &[Expr], ty: Ty) -> Expr {
        let fitting: Vec<&Expr> = of.iter().filter(|e| e.ty() == ty).collect();
        if fitting.is_empty() || self.dice.chance(8) {
            return self.constant(ty);
        }
        (*self.dice.pick(&fitting)).clone()
    }

    /// An expression over `of`, at most so many calls deep.
    pub(super) fn expr(&mut self, of: &[Expr], ty: Ty, depth: usize) -> Expr {
        if depth == 0 || (ty != Ty::Bool && self.dice.chance(40)) {
            return self.leaf(of, ty);
        }
        if self.risky && self.dice.chance(15) {
            let fitting: Vec<Form> =
                RISKS.iter().filter(|f| f.gives == Of::Is(ty)).copied().collect();
            if !fitting.is_empty() {
                let form = *self.dice.pick(&fitting);
                return self.filled(&form, of, ty, depth - 1);
            }
        }
        let form = self.form_of(SCALARS, ty);
        self.filled(&form, of, ty, depth - 1)
    }

    /// A form that gives the type; those made for it come more often.
    fn form_of(&mut self, forms: &[Form], ty: Ty) -> Form {
        let made: Vec<Form> = forms.iter().filter(|f| f.gives == Of::Is(ty)).copied().collect();
        let any: Vec<Form> = forms.iter().filter(|f| f.gives == Of::Same).copied().collect();
        if any.is_empty() || (!made.is_empty() && self.dice.chance(65)) {
            *self.dice.pick(&made)
        } else {
            *self.dice.pick(&any)
        }
    }

    fn arguments(&mut self, form: &Form, of: &[Expr], ty: Ty, depth: usize) -> Vec<Expr> {
        let any = self.key_type();
        form.takes
            .iter()
            .map(|takes| {
                let ty = match takes {
                    Of::Is(ty) => *ty,
                    Of::Same => ty,
                    Of::Any => any,
                };
                self.expr(of, ty, depth)
            })
            .collect()
    }

    fn filled(&mut self, form: &Form, of: &[Expr], ty: Ty, depth: usize) -> Expr {
        let args = self.arguments(form, of, ty, depth);
        Expr::call(form.sql, form.construct, args, ty)
    }

    /// An aggregate of rows with these columns.
    pub(super) fn aggregate(&mut self, columns: &[Expr], ty: Ty) -> Expr {
        let form = self.form_of(AGGREGATES, ty);
        let depth = usize::from(self.dice.chance(35));
        let mut args = self.arguments(&form, columns, ty, depth);
        if form.sql.contains("ORDER BY") {
            args = args.into_iter().map(|a| self.ordering(a, columns)).collect();
        }
        if !self.dice.chance(14) || form.sql.starts_with("CAST(") {
            return Expr::call(form.sql, form.construct, args, ty);
        }
        let sql = format!("{} FILTER (WHERE ${})", form.sql, args.len());
        args.push(self.expr(columns, Ty::Bool, 1));
        let inner = Expr::call(sql, form.construct, args, ty);
        Expr::call("$0", "FILTER", vec![inner], ty)
    }

    /// What may be ordered by: `DataFusion` panics on constants in some places.
    pub(super) fn ordering(&mut self, by: Expr, columns: &[Expr]) -> Expr {
        let constant = matches!(by, Expr::Constant { .. });
        let of_type: Vec<&Expr> = columns.iter().filter(|c| c.ty() == by.ty()).collect();
        if constant && !of_type.is_empty() {
            (*self.dice.pick(&of_type)).clone()
        } else {
            no_place(by)
        }
    }

    pub(super) fn partition(&mut self, columns: &[Expr]) -> Vec<Expr> {
        (0..self.dice.weighted(&[(1, 0), (7, 1), (2, 2)]))
            .map(|_| {
                let ty = self.key_type();
                self.leaf(columns, ty)
            })
            .filter(|e| matches!(e, Expr::Column { .. }))
            .collect()
    }

    pub(super) fn window(&mut self, from: &From, partition: &[Expr], ty: Ty) -> Expr {
        let forms: Vec<Form> = WINDOWS.iter().map(|(form, _)| *form).collect();
        let form = self.form_of(&forms, ty);
        let over: Vec<Over> =
            WINDOWS.iter().filter(|(f, _)| f.sql == form.sql).map(|(_, over)| *over).collect();
        let over = *self.dice.pick(&over);
        let mut args = self.arguments(&form, &from.columns, ty, 0);
        // The expression becomes the next argument; its place is what the window says.
        let mut place = |expr: Expr| {
            args.push(expr);
            format!("${}", args.len() - 1)
        };
        let mut window = String::from("OVER (");
        for (i, key) in partition.iter().enumerate() {
            window += if i == 0 { "PARTITION BY " } else { ", " };
            window += &place(key.clone());
        }
        if over == Over::Moments {
            let by = self.leaf(&from.columns, Ty::Instant);
            window += " ORDER BY ";
            window += &place(self.ordering(by, &from.columns));
            window += " RANGE BETWEEN INTERVAL '2 hours' PRECEDING AND CURRENT ROW";
        } else if over != Over::Partition {
            let by = self.key_type();
            let by = self.leaf(&from.columns, by);
            window += " ORDER BY ";
            window += &place(self.ordering(by, &from.columns));
            window += self.dice.weighted(&[(5, ""), (3, " DESC"), (1, " DESC NULLS LAST")]);
        }
        if over == Over::Groups {
            window += " GROUPS BETWEEN 1 PRECEDING AND CURRENT ROW";
        }
        if over == Over::Total {
            // What an order leaves open is decided by all columns.
            let open = self.dice.chance(25);
            for column in from.total.iter().filter(|_| !open) {
                window += ", ";
                window += &place(column.clone());
            }
            if form.takes.len() == 1 {
                window += *self.dice.pick(FRAMES);
            }
        }
        window.push(')');
        Expr::call(form.sql.replace('@', &window), form.construct, args, ty)
    }
}

/// A number alone would be the place of a column.
pub(super) fn no_place(key: Expr) -> Expr {
    match key {
        Expr::Constant { ty: Ty::Int, .. } => {
            Expr::call("($0 + 0)", "arithmetic", vec![key], Ty::Int)
        }
        other => other,
    }
}
