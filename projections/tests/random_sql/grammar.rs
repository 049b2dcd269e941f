//! The grammar: makes queries over relations, most of which answer with rows.

use super::dice::Dice;
use super::forms::{AGGREGATES, FRAMES, Form, Of, Over, RISKS, SCALARS, WINDOWS};
use super::patterns;
use super::syntax::{
    Body, CLOCK, Expr, First, Grouping, Join, LIST, Query, Relation, Select, Source, Ty,
};

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
        let mut select = self.finish(from, items, filter, distinct, None, None);
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
        let items = match want {
            Some(types) => types.iter().map(|ty| self.leaf(&leaves, *ty)).collect(),
            None => {
                let mut items = leaves.clone();
                if self.dice.chance(25) {
                    let ty = *self.dice.pick(&Ty::ALL);
                    items.push(self.expr(&leaves, ty, 1));
                }
                items
            }
        };
        let having = self.dice.chance(20).then(|| self.expr(&leaves, Ty::Bool, 1));
        let mut select = self.finish(from, items, filter, false, Some(grouping), having);
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
        self.finish(from, items, filter, false, None, None)
    }

    fn finish(
        &mut self,
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

    // FROM

    fn from(&mut self, depth: usize) -> From {
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
        let select = self.finish(inner, items, None, false, Some(Grouping::All), None);
        let query = Query::select(select);
        let alias = format!("s{}", self.next_alias());
        from.columns.extend(self::columns(&alias, &query.columns()));
        from.total.extend(self::columns(&alias, &query.columns()));
        let source = Source { relation: Relation::Derived(Box::new(query)), alias };
        from.joins.push(Join { kind: "CROSS JOIN", source, on: None });
    }

    /// An equality between the sides, mostly of columns.
    fn equality(&mut self, left: &[Expr], right: &[Expr]) -> Option<Expr> {
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

    // WHERE

    fn condition(&mut self, columns: &[Expr]) -> Expr {
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
        (self.finish(from, Vec::new(), filter, false, None, None), columns)
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

    fn scalar_subquery(&mut self, outer: &[Expr], want: Option<Ty>) -> Expr {
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

    // Expressions

    fn constant(&mut self, ty: Ty) -> Expr {
        if matches!(ty, Ty::Date | Ty::Instant) && self.dice.chance(30) {
            let sql = CLOCK[usize::from(ty == Ty::Instant)];
            return Expr::Constant { sql, ty };
        }
        let sql = if self.dice.chance(8) { ty.null() } else { self.dice.pick(ty.constants()) };
        Expr::Constant { sql, ty }
    }

    /// One of the columns if any has the type.
    fn leaf(&mut self, of: &[Expr], ty: Ty) -> Expr {
        let fitting: Vec<&Expr> = of.iter().filter(|e| e.ty() == ty).collect();
        if fitting.is_empty() || self.dice.chance(8) {
            return self.constant(ty);
        }
        (*self.dice.pick(&fitting)).clone()
    }

    /// An expression over `of`, at most so many calls deep.
    fn expr(&mut self, of: &[Expr], ty: Ty, depth: usize) -> Expr {
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
    fn aggregate(&mut self, columns: &[Expr], ty: Ty) -> Expr {
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
    fn ordering(&mut self, by: Expr, columns: &[Expr]) -> Expr {
        let constant = matches!(by, Expr::Constant { .. });
        let of_type: Vec<&Expr> = columns.iter().filter(|c| c.ty() == by.ty()).collect();
        match constant && !of_type.is_empty() {
            true => (*self.dice.pick(&of_type)).clone(),
            false => no_place(by),
        }
    }

    fn partition(&mut self, columns: &[Expr]) -> Vec<Expr> {
        (0..self.dice.weighted(&[(1, 0), (7, 1), (2, 2)]))
            .map(|_| {
                let ty = self.key_type();
                self.leaf(columns, ty)
            })
            .filter(|e| matches!(e, Expr::Column { .. }))
            .collect()
    }

    fn window(&mut self, from: &From, partition: &[Expr], ty: Ty) -> Expr {
        let forms: Vec<Form> = WINDOWS.iter().map(|(form, _)| *form).collect();
        let form = self.form_of(&forms, ty);
        let over: Vec<Over> =
            WINDOWS.iter().filter(|(f, _)| f.sql == form.sql).map(|(_, over)| *over).collect();
        let over = *self.dice.pick(&over);
        let mut args = self.arguments(&form, &from.columns, ty, 0);
        let mut window = String::from("OVER (");
        for (i, key) in partition.iter().enumerate() {
            window += if i == 0 { "PARTITION BY " } else { ", " };
            window += &format!("${}", args.len());
            args.push(key.clone());
        }
        if over == Over::Moments {
            window += &format!(
                " ORDER BY ${} RANGE BETWEEN INTERVAL '2 hours' PRECEDING AND CURRENT ROW",
                args.len()
            );
            let by = self.leaf(&from.columns, Ty::Instant);
            args.push(self.ordering(by, &from.columns));
        } else if over != Over::Partition {
            let by = self.key_type();
            window += &format!(" ORDER BY ${}", args.len());
            let by = self.leaf(&from.columns, by);
            args.push(self.ordering(by, &from.columns));
            window += self.dice.weighted(&[(5, ""), (3, " DESC"), (1, " DESC NULLS LAST")]);
        }
        if over == Over::Groups {
            window += " GROUPS BETWEEN 1 PRECEDING AND CURRENT ROW";
        }
        if over == Over::Total {
            // What an order leaves open is decided by all columns.
            let open = self.dice.chance(25);
            for column in from.total.iter().filter(|_| !open) {
                window += &format!(", ${}", args.len());
                args.push(column.clone());
            }
            if form.takes.len() == 1 {
                window += *self.dice.pick(FRAMES);
            }
        }
        window.push(')');
        Expr::call(form.sql.replace('@', &window), form.construct, args, ty)
    }
}

fn text(named: &Named, alias: String) -> (Source, Vec<Expr>, Vec<Expr>) {
    let columns = columns(&alias, &named.columns);
    let total = match named.events {
        true => columns.iter().filter(|c| is_event_id(c)).cloned().collect(),
        false => columns.clone(),
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

/// A number alone would be the place of a column.
fn no_place(key: Expr) -> Expr {
    match key {
        Expr::Constant { ty: Ty::Int, .. } => {
            Expr::call("($0 + 0)", "arithmetic", vec![key], Ty::Int)
        }
        other => other,
    }
}

fn is_event_id(expr: &Expr) -> bool {
    matches!(expr, Expr::Column { name, .. } if name == "event_id")
}

fn and(one: Expr, other: Expr) -> Expr {
    Expr::call("($0 AND $1)", "AND, OR, NOT", vec![one, other], Ty::Bool)
}
