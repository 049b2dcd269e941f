//! What clients of PostgreSQL ask of its catalog, in words that DataFusion has.
//!
//! Tools write such questions by hand, with operators, casts and functions that only PostgreSQL has.
//! Each of them is put into what means the same over the tables that are here. Queries that use none
//! of them are left as they are.

mod columns;
mod lists;
mod rows;

use std::ops::ControlFlow;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments,
    Ident, ObjectName, Query, Select, SelectItem, SetExpr, Value, VisitMut, VisitorMut,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;

use self::columns::{name_columns, name_constants};
use self::rows::{empty, is_aggregate, is_emptied, is_empty, is_grouped, is_of_catalog};
use super::names::{self, EVENTS_FROM};
use crate::QueryError;

/// Constructs of PostgreSQL in one statement; each is put into several words.
const MOST: usize = 200;

/// Puts a statement into words that DataFusion has.
pub(crate) fn rewrite(statement: &mut Statement) -> Result<(), QueryError> {
    match statement {
        Statement::Explain(explain) => rewrite(&mut explain.statement),
        Statement::Statement(sql) => match sql.visit(&mut Rewriter { count: 0 }) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(error) => Err(error),
        },
        _ => Ok(()),
    }
}

struct Rewriter {
    /// Constructs that were put into others.
    count: usize,
}

impl VisitorMut for Rewriter {
    type Break = QueryError;

    fn pre_visit_relation(&mut self, relation: &mut ObjectName) -> ControlFlow<QueryError> {
        if let [name] = words(relation).as_slice()
            && names::is_table(name)
        {
            *relation = ObjectName::from(vec![Ident::new("pg_catalog"), Ident::new(name)]);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<QueryError> {
        if let SetExpr::Select(select) = query.body.as_mut()
            && is_empty(select)
        {
            query.order_by = None;
            query.limit_clause = None;
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<QueryError> {
        if select.from.is_empty() {
            name_constants(select);
        } else if is_of_catalog(select) {
            name_columns(select);
            if is_empty(select) {
                empty(select);
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<QueryError> {
        // Before the subquery is taken for a value.
        if let Some(other) = among(expr) {
            *expr = other;
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<QueryError> {
        if let Some(other) = other(expr) {
            *expr = other;
            self.count += 1;
            if self.count > MOST {
                return ControlFlow::Break(QueryError::invalid(format!(
                    "the SQL has more than {MOST} constructs that only PostgreSQL has"
                )));
            }
        }
        ControlFlow::Continue(())
    }
}

/// What an expression is put into; none if it stays.
fn other(expr: &mut Expr) -> Option<Expr> {
    match expr {
        Expr::BinaryOp { left, op: BinaryOperator::PGCustomBinaryOperator(name), right } => {
            let op = operator(name.last()?)?;
            let (left, right) = (left.clone(), right.clone());
            Some(Expr::BinaryOp { left, op, right })
        }
        Expr::Collate { expr, collation } if words(collation).last()? == "default" => {
            Some(expr.as_ref().clone())
        }
        Expr::Cast { expr, data_type, .. } => cast(expr, data_type),
        Expr::AnyOp { left, compare_op: BinaryOperator::Eq, right, .. } => any(left, right, false),
        Expr::AllOp { left, compare_op: BinaryOperator::NotEq, right } => any(left, right, true),
        Expr::Function(function) => called(function),
        Expr::Identifier(name) => word(name),
        Expr::Subquery(query) => subquery(query),
        Expr::Exists { subquery, negated } if is_emptied(subquery) => Some(boolean(*negated)),
        Expr::InSubquery { subquery, negated, .. } if is_emptied(subquery) => {
            Some(boolean(*negated))
        }
        _ => None,
    }
}

/// A word that stands for a function; others of the kind could be names of columns.
fn word(name: &Ident) -> Option<Expr> {
    let lower = name.value.to_lowercase();
    let is_reserved = lower.starts_with("current_") || lower == "session_user";
    if name.quote_style.is_none() && is_reserved { constant(&lower) } else { None }
}

fn operator(name: &str) -> Option<BinaryOperator> {
    Some(match name {
        "~" => BinaryOperator::PGRegexMatch,
        "~*" => BinaryOperator::PGRegexIMatch,
        "!~" => BinaryOperator::PGRegexNotMatch,
        "!~*" => BinaryOperator::PGRegexNotIMatch,
        "~~" => BinaryOperator::PGLikeMatch,
        "!~~" => BinaryOperator::PGNotLikeMatch,
        "=" => BinaryOperator::Eq,
        "<>" => BinaryOperator::NotEq,
        "<" => BinaryOperator::Lt,
        ">" => BinaryOperator::Gt,
        "<=" => BinaryOperator::LtEq,
        ">=" => BinaryOperator::GtEq,
        "||" => BinaryOperator::StringConcat,
        _ => return None,
    })
}

/// A cast to a type that only PostgreSQL has.
fn cast(expr: &Expr, data_type: &DataType) -> Option<Expr> {
    let name = match data_type {
        DataType::Regclass => "regclass".to_owned(),
        DataType::Custom(name, _) => match words(name).as_slice() {
            [name] => name.clone(),
            [schema, name] if schema == "pg_catalog" => name.clone(),
            _ => return None,
        },
        _ => return None,
    };
    match name.as_str() {
        "oid" | "xid" => sql(&format!("CAST({expr} AS INT UNSIGNED)")),
        "name" | "text" | "char" | "bpchar" | "varchar" | "regproc" | "regprocedure"
        | "cstring" | "pg_node_tree" | "aclitem" | "unknown" => {
            sql(&format!("CAST({expr} AS TEXT)"))
        }
        "bool" => sql(&format!("CAST({expr} AS BOOLEAN)")),
        "int2" => sql(&format!("CAST({expr} AS SMALLINT)")),
        "int4" => sql(&format!("CAST({expr} AS INT)")),
        "int8" => sql(&format!("CAST({expr} AS BIGINT)")),
        "float8" => sql(&format!("CAST({expr} AS DOUBLE)")),
        "regclass" => named(expr, "pg_class", "relname", "relnamespace"),
        "regtype" => match literal(expr) {
            Some(_) => named(expr, "pg_type", "typname", "typnamespace"),
            None => sql(&format_type(&expr.to_string(), None)),
        },
        "regnamespace" => named(expr, "pg_namespace", "nspname", "oid"),
        "regrole" => Some(text("tidemark")),
        _ => None,
    }
}

/// The number of what a text names, or the name of what a number is of.
fn named(expr: &Expr, table: &str, column: &str, schema: &str) -> Option<Expr> {
    // A name that nobody gives, so that it hides none of the query's.
    let at = format!("pg_catalog.{table} AS pg_named_");
    let Some(name) = literal(expr) else {
        return sql(&format!(
            "(SELECT max(pg_named_.{column}) FROM {at} WHERE pg_named_.oid = {expr})"
        ));
    };
    if name.bytes().all(|byte| byte.is_ascii_digit()) && !name.is_empty() {
        return sql(&format!("CAST('{name}' AS INT UNSIGNED)"));
    }
    // `schema.name`, each part in quotes where it must be.
    let (of, name) = match name.split_once('.') {
        Some((of, name)) if !of.is_empty() => (Some(plain(of)), plain(name)),
        _ => (None, plain(&name)),
    };
    if table == "pg_class" && of.as_deref().is_none_or(|of| of == "pg_catalog") {
        // In conditions of joins, where DataFusion takes no subquery.
        if let Some(number) = names::number(&name) {
            return sql(&number.to_string());
        }
    }
    let name = name.replace('\'', "''");
    let within = of.map_or_else(String::new, |of| {
        let of = of.replace('\'', "''");
        format!(
            " AND pg_named_.{schema} IN (SELECT n.oid FROM pg_catalog.pg_namespace AS n \
             WHERE n.nspname = '{of}')"
        )
    });
    sql(&format!(
        "(SELECT max(pg_named_.oid) FROM {at} WHERE pg_named_.{column} = '{name}'{within})"
    ))
}

fn plain(name: &str) -> String {
    match name.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(quoted) => quoted.replace("\"\"", "\""),
        None => name.to_ascii_lowercase(),
    }
}

/// `= ANY (SELECT …)` and `<> ALL (SELECT …)` as `IN` and `NOT IN`.
fn among(expr: &Expr) -> Option<Expr> {
    let (left, right, negated) = match expr {
        Expr::AnyOp { left, compare_op: BinaryOperator::Eq, right, .. } => (left, right, false),
        Expr::AllOp { left, compare_op: BinaryOperator::NotEq, right } => (left, right, true),
        _ => return None,
    };
    let Expr::Subquery(subquery) = right.as_ref() else { return None };
    Some(Expr::InSubquery { expr: left.clone(), subquery: subquery.clone(), negated })
}

/// `= ANY (…)`, and negated `<> ALL (…)`, of a list that is written out.
fn any(left: &Expr, right: &Expr, negated: bool) -> Option<Expr> {
    let expr = Box::new(left.clone());
    match right {
        Expr::Array(array) => Some(Expr::InList { expr, list: array.elem.clone(), negated }),
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => any(left, inner, negated),
        Expr::Function(function) if words(&function.name).last()? == "current_schemas" => {
            let list = vec![text("pg_catalog"), text("public")];
            Some(Expr::InList { expr, list, negated })
        }
        // Lists in the catalog are empty.
        Expr::Identifier(name) if names::is_list(&name.value) => Some(boolean(negated)),
        Expr::CompoundIdentifier(path) if path.last().is_some_and(|n| names::is_list(&n.value)) => {
            Some(boolean(negated))
        }
        // `'{a,b}'`, a list as text.
        _ => {
            let list = lists::members(&literal(right)?)?;
            let value = |of: &Option<String>| of.as_deref().map_or_else(null, text);
            let list = list.iter().map(value).collect();
            Some(Expr::InList { expr, list, negated })
        }
    }
}

/// A call of a function that only PostgreSQL has.
fn called(function: &mut Function) -> Option<Expr> {
    let (name, is_qualified) = match words(&function.name).as_slice() {
        [name] => (name.clone(), false),
        [schema, name] if schema == "pg_catalog" => (name.clone(), true),
        _ => return None,
    };
    if name == "array" && matches!(function.args, FunctionArguments::Subquery(_)) {
        return Some(null());
    }
    let arguments = arguments(function);
    let first = arguments.first().map(ToString::to_string).unwrap_or_default();
    let known = match (name.as_str(), arguments.as_slice()) {
        (_, []) => constant(&name),
        ("pg_table_is_visible", [_]) => sql(&format!("(CAST({first} AS BIGINT) < {EVENTS_FROM})")),
        ("format_type", [_, modifier]) => {
            // A modifier is repeated, so it must be short.
            let simple = matches!(modifier, Expr::Identifier(_) | Expr::CompoundIdentifier(_));
            sql(&format_type(&first, simple.then(|| modifier.to_string()).as_deref()))
        }
        ("pg_get_viewdef", [..]) => sql(&format!(
            "(SELECT max(pg_rule_.ev_action) FROM pg_catalog.pg_rewrite AS pg_rule_ \
             WHERE pg_rule_.ev_class = {first})"
        )),
        ("to_regclass", [name]) => named(name, "pg_class", "relname", "relnamespace"),
        ("quote_ident" | "quote_literal", [_]) => Some(arguments.first()?.clone()),
        ("pg_encoding_to_char", [_]) => Some(text("UTF8")),
        ("current_setting", [name, ..]) => {
            Some(names::setting(&literal(name)?).map_or_else(null, text))
        }
        ("set_config", [_, value, _]) => Some(value.clone()),
        ("current_schemas", [_]) => Some(text("{pg_catalog,public}")),
        (name, [.., last]) if name.starts_with("has_") && name.ends_with("_privilege") => {
            let wanted = literal(last).unwrap_or_default().to_lowercase();
            let is_read = ["select", "usage", "connect", "execute", "member"];
            Some(boolean(is_read.iter().any(|may| wanted.contains(may))))
        }
        ("pg_has_role", _) => Some(boolean(true)),
        (name, _) => names::answer(name, is_qualified).and_then(sql),
    };
    if known.is_none() && is_qualified {
        // A function that DataFusion has too, by its own name.
        function.name = ObjectName::from(vec![Ident::new(name)]);
    }
    known
}

/// What is the same for every query, by the name of the function or word that gives it.
fn constant(name: &str) -> Option<Expr> {
    Some(match name {
        // The one role has the name of the one database.
        "current_user" | "session_user" | "user" | "current_role" | "current_database"
        | "current_catalog" => text("tidemark"),
        "current_schema" => text("public"),
        "version" => text(names::VERSION),
        "pg_backend_pid" | "pg_my_temp_schema" => sql("0")?,
        "pg_is_in_recovery" | "pg_is_wal_replay_paused" => boolean(false),
        "txid_current" => sql("1")?,
        "inet_server_addr"
        | "inet_client_addr"
        | "inet_server_port"
        | "inet_client_port"
        | "pg_postmaster_start_time"
        | "pg_conf_load_time" => null(),
        _ => return None,
    })
}

/// The name of a type by its number, with its precision where it has one.
fn format_type(oid: &str, modifier: Option<&str>) -> String {
    let name = |(number, name): &(u32, &str)| match modifier {
        Some(modifier) if *name == "numeric" => format!(
            " WHEN {number} THEN CASE WHEN {modifier} > 4 THEN \
             'numeric(' || CAST(({modifier} - 4) / 65536 AS TEXT) || ',' || \
             CAST(({modifier} - 4) % 65536 AS TEXT) || ')' ELSE 'numeric' END"
        ),
        _ => format!(" WHEN {number} THEN '{name}'"),
    };
    let names: Vec<String> = names::TYPES.iter().map(name).collect();
    format!("CASE CAST({oid} AS BIGINT){} ELSE '???' END", names.concat())
}

/// A subquery in the place of a value. One without rows is null; one over the catalog that is not
/// aggregated gives at most one row, as DataFusion must be told.
fn subquery(query: &Query) -> Option<Expr> {
    if is_emptied(query) {
        return Some(Expr::value(Value::Null));
    }
    let SetExpr::Select(select) = query.body.as_ref() else { return None };
    let [item] = select.projection.as_slice() else { return None };
    let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item else {
        return None;
    };
    if !is_of_catalog(select) || is_grouped(select) || is_aggregate(expr) {
        return None;
    }
    let most = sql(&format!("max({expr})"))?;
    let mut query = query.clone();
    (query.order_by, query.limit_clause) = (None, None);
    if let SetExpr::Select(select) = query.body.as_mut() {
        select.distinct = None;
        select.projection = vec![SelectItem::UnnamedExpr(most)];
    }
    Some(Expr::Subquery(Box::new(query)))
}

/// The parts of a name: in lower case, but for what is in quotes.
fn words(name: &ObjectName) -> Vec<String> {
    let word = |ident: &Ident| match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_ascii_lowercase(),
    };
    name.0.iter().filter_map(|part| part.as_ident()).map(word).collect()
}

fn arguments(function: &Function) -> Vec<Expr> {
    let FunctionArguments::List(list) = &function.args else { return Vec::new() };
    let given = list.args.iter().map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    });
    given.collect::<Option<Vec<_>>>().unwrap_or_default()
}

/// The text of a literal, also of one that is cast.
fn literal(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => Some(text.clone()),
            Value::Number(number, _) => Some(number.clone()),
            _ => None,
        },
        Expr::Cast { expr, .. } | Expr::Nested(expr) => literal(expr),
        _ => None,
    }
}

fn text(value: &str) -> Expr {
    Expr::value(Value::SingleQuotedString(value.to_owned()))
}

fn boolean(value: bool) -> Expr {
    Expr::value(Value::Boolean(value))
}

fn null() -> Expr {
    Expr::Cast {
        kind: datafusion::sql::sqlparser::ast::CastKind::Cast,
        expr: Box::new(Expr::value(Value::Null)),
        data_type: DataType::Text,
        array: false,
        format: None,
    }
}

/// The expression that a text is.
fn sql(text: &str) -> Option<Expr> {
    Parser::new(&GenericDialect {}).try_with_sql(text).ok()?.parse_expr().ok()
}
