//! Queries as trees: they know their columns and their constructs, and render as SQL.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Write;

/// The types of columns that queries are made over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ty {
    Text,
    Decimal,
    Date,
    Instant,
    Int,
    Bool,
}

impl Ty {
    pub(crate) const ALL: [Self; 6] =
        [Self::Text, Self::Decimal, Self::Date, Self::Instant, Self::Int, Self::Bool];

    /// Constants that meet the values of generated events, the plainest first.
    pub(crate) fn constants(self) -> &'static [&'static str] {
        match self {
            Self::Text => &["'a'", "'b'", "'c'", "''", "'B'", "'a b'"],
            Self::Decimal => &[
                "CAST(50 AS DECIMAL(38, 4))",
                "CAST(0 AS DECIMAL(38, 4))",
                "CAST(-50 AS DECIMAL(38, 4))",
                "CAST('33.3333' AS DECIMAL(38, 4))",
            ],
            Self::Date => &[
                "DATE '2025-03-01'",
                "DATE '2025-02-28'",
                "DATE '2024-12-31'",
                "DATE '2025-03-31'",
            ],
            Self::Instant => &[
                "arrow_cast('2025-02-20T00:00:00Z', 'Timestamp(Microsecond, Some(\"UTC\"))')",
                "arrow_cast('2025-02-19T21:20:05Z', 'Timestamp(Microsecond, Some(\"UTC\"))')",
            ],
            Self::Int => &["1", "0", "2", "7", "-3"],
            Self::Bool => &["TRUE", "FALSE"],
        }
    }

    pub(crate) fn null(self) -> &'static str {
        match self {
            Self::Text => "CAST(NULL AS VARCHAR)",
            Self::Decimal => "CAST(NULL AS DECIMAL(38, 4))",
            Self::Date => "CAST(NULL AS DATE)",
            Self::Instant => "arrow_cast(NULL, 'Timestamp(Microsecond, Some(\"UTC\"))')",
            Self::Int => "CAST(NULL AS BIGINT)",
            Self::Bool => "CAST(NULL AS BOOLEAN)",
        }
    }
}

/// A scalar, an aggregate or a window function's value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expr {
    Column {
        source: String,
        name: String,
        ty: Ty,
    },
    Constant {
        sql: &'static str,
        ty: Ty,
    },
    /// SQL with `$0`, `$1`, … for the arguments.
    Call {
        form: Cow<'static, str>,
        construct: &'static str,
        args: Vec<Expr>,
        ty: Ty,
    },
    /// SQL with `$0` for the operand, if any, and `#` for the query.
    Subquery {
        form: &'static str,
        construct: &'static str,
        operand: Option<Box<Expr>>,
        query: Box<Query>,
        ty: Ty,
    },
}

impl Expr {
    pub(crate) fn constant(ty: Ty) -> Self {
        Self::Constant { sql: ty.constants()[0], ty }
    }

    pub(crate) fn call(
        form: impl Into<Cow<'static, str>>,
        construct: &'static str,
        args: Vec<Self>,
        ty: Ty,
    ) -> Self {
        Self::Call { form: form.into(), construct, args, ty }
    }

    pub(crate) fn ty(&self) -> Ty {
        match self {
            Self::Column { ty, .. }
            | Self::Constant { ty, .. }
            | Self::Call { ty, .. }
            | Self::Subquery { ty, .. } => *ty,
        }
    }

    /// The expression with every column of a source replaced by a constant.
    pub(crate) fn without(&self, gone: &str) -> Self {
        match self {
            Self::Column { source, ty, .. } if source == gone => Self::constant(*ty),
            Self::Call { form, construct, args, ty } => Self::Call {
                form: form.clone(),
                construct,
                args: args.iter().map(|a| a.without(gone)).collect(),
                ty: *ty,
            },
            other => other.clone(),
        }
    }

    fn render(&self, sql: &mut String) {
        match self {
            Self::Column { source, name, .. } => {
                let _ = write!(sql, "{source}.{name}");
            }
            Self::Constant { sql: constant, .. } => sql.push_str(constant),
            Self::Call { form, args, .. } => fill(form, sql, |sql, at| args[at].render(sql)),
            Self::Subquery { form, operand, query, .. } => {
                fill(form, sql, |sql, at| match operand {
                    Some(operand) if at == 0 => operand.render(sql),
                    _ => query.render(sql),
                });
            }
        }
    }

    fn constructs(&self, into: &mut BTreeSet<&'static str>) {
        match self {
            Self::Column { .. } => {}
            Self::Constant { sql, .. } => {
                if let Some(clock) = CLOCK.iter().find(|clock| *clock == sql) {
                    into.insert(clock);
                }
            }
            Self::Call { construct, args, .. } => {
                into.insert(construct);
                for arg in args {
                    arg.constructs(into);
                }
            }
            Self::Subquery { construct, operand, query, .. } => {
                into.insert(construct);
                if let Some(operand) = operand {
                    operand.constructs(into);
                }
                query.constructs(into);
            }
        }
    }
}

/// What reads the tenant's date.
pub(crate) const CLOCK: [&str; 2] = ["current_date", "now()"];

/// Writes `form` with its places filled in; `#` is place 9.
fn fill(form: &str, sql: &mut String, mut place: impl FnMut(&mut String, usize)) {
    let mut chars = form.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '$' => {
                let mut at = 0;
                while let Some(digit) = chars.peek().and_then(|c| c.to_digit(10)) {
                    at = at * 10 + digit as usize;
                    chars.next();
                }
                place(sql, at);
            }
            '#' => place(sql, usize::MAX),
            other => sql.push(other),
        }
    }
}

/// The name of a column that is a list, which nothing else reads.
pub(crate) const LIST: &str = "list";

/// A `SELECT`, or several put together.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Query {
    pub(crate) with: Vec<(String, Query)>,
    pub(crate) body: Body,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Body {
    Select(Box<Select>),
    Set { operator: &'static str, left: Box<Query>, right: Box<Query> },
    Values(Vec<Vec<Expr>>),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Select {
    pub(crate) distinct: bool,
    /// The columns and their names.
    pub(crate) items: Vec<(Expr, String)>,
    pub(crate) from: Source,
    pub(crate) joins: Vec<Join>,
    pub(crate) filter: Option<Expr>,
    pub(crate) grouping: Option<Grouping>,
    pub(crate) having: Option<Expr>,
    pub(crate) first: Option<First>,
}

/// The rows that come first in an order, which may leave some equal.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum First {
    /// `ORDER BY … LIMIT …`
    Limit { by: Expr, descending: bool, count: usize },
    /// `DISTINCT ON`: the first of each.
    Of { each: Expr, by: Expr },
}

impl First {
    pub(crate) fn exprs(&self) -> Vec<&Expr> {
        match self {
            Self::Limit { by, .. } => vec![by],
            Self::Of { each, by } => vec![each, by],
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Source {
    pub(crate) relation: Relation,
    pub(crate) alias: String,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Relation {
    /// A relation, a view, a `WITH` query, or a query written out, in parentheses.
    Text {
        sql: String,
        construct: &'static str,
    },
    Derived(Box<Query>),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Join {
    pub(crate) kind: &'static str,
    pub(crate) source: Source,
    pub(crate) on: Option<Expr>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Grouping {
    /// One group of all rows.
    All,
    By(Vec<Expr>),
    Rollup(Vec<Expr>),
    Cube(Vec<Expr>),
    /// The expressions, and which of them make each grouping.
    Sets(Vec<Expr>, Vec<Vec<usize>>),
}

impl Query {
    pub(crate) fn select(select: Select) -> Self {
        Self { with: Vec::new(), body: Body::Select(Box::new(select)) }
    }

    /// The names and types of its columns.
    pub(crate) fn columns(&self) -> Vec<(String, Ty)> {
        match &self.body {
            Body::Select(select) => {
                let read = select.items.iter().filter(|(_, name)| name != LIST);
                read.map(|(e, name)| (name.clone(), e.ty())).collect()
            }
            Body::Set { left, .. } => left.columns(),
            Body::Values(rows) => {
                rows[0].iter().enumerate().map(|(i, e)| (format!("c{i}"), e.ty())).collect()
            }
        }
    }

    pub(crate) fn sql(&self) -> String {
        let mut sql = String::new();
        self.render(&mut sql);
        sql
    }

    fn render(&self, sql: &mut String) {
        for (i, (name, query)) in self.with.iter().enumerate() {
            sql.push_str(if i == 0 { "WITH " } else { ", " });
            let _ = write!(sql, "{name} AS (");
            query.render(sql);
            sql.push_str(") ");
        }
        match &self.body {
            Body::Select(select) => select.render(sql),
            Body::Set { operator, left, right } => {
                sql.push('(');
                left.render(sql);
                let _ = write!(sql, ") {operator} (");
                right.render(sql);
                sql.push(')');
            }
            Body::Values(rows) => {
                sql.push_str("VALUES ");
                for (i, row) in rows.iter().enumerate() {
                    sql.push_str(if i == 0 { "(" } else { ", (" });
                    list(row, sql);
                    sql.push(')');
                }
            }
        }
    }

    /// What it is made of, by name.
    pub(crate) fn constructs(&self, into: &mut BTreeSet<&'static str>) {
        for (_, query) in &self.with {
            into.insert("WITH");
            query.constructs(into);
        }
        match &self.body {
            Body::Select(select) => select.constructs(into),
            Body::Set { operator, left, right } => {
                into.insert(operator);
                left.constructs(into);
                right.constructs(into);
            }
            Body::Values(_) => {
                into.insert("VALUES");
            }
        }
    }
}

impl Select {
    fn render(&self, sql: &mut String) {
        sql.push_str(if self.distinct { "SELECT DISTINCT " } else { "SELECT " });
        if let Some(First::Of { each, .. }) = &self.first {
            sql.push_str("DISTINCT ON (");
            each.render(sql);
            sql.push_str(") ");
        }
        for (i, (item, name)) in self.items.iter().enumerate() {
            sql.push_str(if i == 0 { "" } else { ", " });
            item.render(sql);
            let _ = write!(sql, " AS {name}");
        }
        sql.push_str(" FROM ");
        self.from.render(sql);
        for join in &self.joins {
            let _ = write!(sql, " {} ", join.kind);
            join.source.render(sql);
            clause(" ON ", join.on.as_ref(), sql);
        }
        clause(" WHERE ", self.filter.as_ref(), sql);
        if let Some(grouping) = &self.grouping {
            grouping.render(sql);
        }
        clause(" HAVING ", self.having.as_ref(), sql);
        match &self.first {
            Some(First::Limit { by, descending, count }) => {
                clause(" ORDER BY ", Some(by), sql);
                sql.push_str(if *descending { " DESC" } else { "" });
                let _ = write!(sql, " LIMIT {count}");
            }
            Some(First::Of { each, by }) => {
                clause(" ORDER BY ", Some(each), sql);
                clause(", ", Some(by), sql);
            }
            None => {}
        }
    }

    fn constructs(&self, into: &mut BTreeSet<&'static str>) {
        if self.distinct {
            into.insert("DISTINCT");
        }
        self.from.constructs(into);
        for join in &self.joins {
            into.insert(join.kind);
            join.source.constructs(into);
        }
        if let Some(grouping) = &self.grouping {
            into.insert(match grouping {
                Grouping::All => "an aggregate of all rows",
                Grouping::By(_) => "GROUP BY",
                Grouping::Rollup(_) => "ROLLUP",
                Grouping::Cube(_) => "CUBE",
                Grouping::Sets(..) => "GROUPING SETS",
            });
        }
        if self.having.is_some() {
            into.insert("HAVING");
        }
        match &self.first {
            Some(First::Limit { .. }) => into.insert("ORDER BY … LIMIT"),
            Some(First::Of { .. }) => into.insert("DISTINCT ON"),
            None => false,
        };
        let items = self.items.iter().map(|(item, _)| item);
        let joins = self.joins.iter().filter_map(|join| join.on.as_ref());
        let keys = self.grouping.iter().flat_map(Grouping::keys);
        let first = self.first.iter().flat_map(First::exprs);
        for expr in
            items.chain(joins).chain(keys).chain(first).chain(&self.filter).chain(&self.having)
        {
            expr.constructs(into);
        }
    }
}

impl Source {
    fn render(&self, sql: &mut String) {
        match &self.relation {
            Relation::Text { sql: text, .. } => {
                let _ = write!(sql, "{text} AS {}", self.alias);
            }
            Relation::Derived(query) => {
                sql.push('(');
                query.render(sql);
                let _ = write!(sql, ") AS {}", self.alias);
                if matches!(query.body, Body::Values(_)) {
                    let names: Vec<String> = query.columns().into_iter().map(|c| c.0).collect();
                    let _ = write!(sql, "({})", names.join(", "));
                }
            }
        }
    }

    fn constructs(&self, into: &mut BTreeSet<&'static str>) {
        match &self.relation {
            Relation::Text { construct, .. } => {
                into.insert(construct);
            }
            Relation::Derived(query) => query.constructs(into),
        }
    }
}

impl Grouping {
    pub(crate) fn keys(&self) -> &[Expr] {
        match self {
            Self::All => &[],
            Self::By(keys) | Self::Rollup(keys) | Self::Cube(keys) | Self::Sets(keys, _) => keys,
        }
    }

    fn render(&self, sql: &mut String) {
        match self {
            Self::All => {}
            Self::By(keys) => {
                sql.push_str(" GROUP BY ");
                list(keys, sql);
            }
            Self::Rollup(keys) | Self::Cube(keys) => {
                let rollup = matches!(self, Self::Rollup(_));
                sql.push_str(if rollup { " GROUP BY ROLLUP (" } else { " GROUP BY CUBE (" });
                list(keys, sql);
                sql.push(')');
            }
            Self::Sets(keys, sets) => {
                sql.push_str(" GROUP BY GROUPING SETS (");
                for (i, set) in sets.iter().enumerate() {
                    sql.push_str(if i == 0 { "(" } else { ", (" });
                    list(&set.iter().map(|at| keys[*at].clone()).collect::<Vec<_>>(), sql);
                    sql.push(')');
                }
                sql.push(')');
            }
        }
    }
}

fn clause(word: &str, expr: Option<&Expr>, sql: &mut String) {
    if let Some(expr) = expr {
        sql.push_str(word);
        expr.render(sql);
    }
}

fn list(exprs: &[Expr], sql: &mut String) {
    for (i, expr) in exprs.iter().enumerate() {
        sql.push_str(if i == 0 { "" } else { ", " });
        expr.render(sql);
    }
}
