//! Names of columns: as PostgreSQL gives them to what has none, and no two alike.

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr,
};

use super::{other, word, words};

/// Gives the columns the names that PostgreSQL gives them, and each another: DataFusion has no two
/// of the same name.
pub(super) fn name_columns(select: &mut Select) {
    let wildcards: Vec<String> = select
        .projection
        .iter()
        .filter_map(|item| match item {
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
                Some(words(name).join("."))
            }
            _ => None,
        })
        .collect();
    // `c.oid, c.*` has a column twice, and whoever asks for it means it by its name.
    select.projection.retain(|item| match item {
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(name)) => match name.as_slice() {
            [table, _] => !wildcards.contains(&table.value.to_lowercase()),
            _ => true,
        },
        _ => true,
    });
    let mut taken: Vec<String> = Vec::new();
    for item in &mut select.projection {
        match item {
            SelectItem::ExprWithAlias { alias, .. } => {
                let name = distinct(&alias.value, &taken);
                if name != alias.value {
                    *alias = Ident::with_quote('"', &name);
                }
                taken.push(name);
            }
            SelectItem::UnnamedExpr(expr) => {
                let name = distinct(&column_name(expr), &taken);
                let is_plain = matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_));
                let is_constant = matches!(expr, Expr::Identifier(name) if word(name).is_some());
                if !is_plain || is_constant || taken.contains(&column_name(expr)) {
                    let alias = Ident::with_quote('"', &name);
                    *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
                }
                taken.push(name);
            }
            _ => {}
        }
    }
}

/// The same for what of a query without relations only PostgreSQL has.
pub(super) fn name_constants(select: &mut Select) {
    for item in &mut select.projection {
        if let SelectItem::UnnamedExpr(expr) = item
            && is_of_postgres(expr)
        {
            let alias = Ident::with_quote('"', column_name(expr));
            *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
        }
    }
}

fn is_of_postgres(expr: &Expr) -> bool {
    let mut same = expr.clone();
    match expr {
        Expr::Cast { expr: inner, .. } => other(&mut same).is_some() || is_of_postgres(inner),
        Expr::Function(_) | Expr::Identifier(_) => other(&mut same).is_some(),
        _ => false,
    }
}

fn distinct(name: &str, taken: &[String]) -> String {
    let is_free = |name: &String| !taken.contains(name);
    let others = (2..).map(|number| format!("{name}_{number}"));
    std::iter::once(name.to_owned()).chain(others).find(is_free).unwrap_or_default()
}

/// The name that PostgreSQL gives a column.
pub(super) fn column_name(expr: &Expr) -> String {
    let name = match expr {
        Expr::Identifier(name) => Some(name.value.clone()),
        Expr::CompoundIdentifier(names) => names.last().map(|name| name.value.clone()),
        Expr::Function(function) => words(&function.name).pop(),
        Expr::Cast { expr, .. } | Expr::Collate { expr, .. } | Expr::Nested(expr) => {
            Some(column_name(expr))
        }
        Expr::Case { .. } => Some("case".to_owned()),
        Expr::Exists { .. } => Some("exists".to_owned()),
        Expr::Subquery(query) => match query.body.as_ref() {
            SetExpr::Select(select) => select.projection.first().map(|item| match item {
                SelectItem::UnnamedExpr(expr) => column_name(expr),
                SelectItem::ExprWithAlias { alias, .. } => alias.value.clone(),
                _ => "?column?".to_owned(),
            }),
            _ => None,
        },
        _ => None,
    };
    name.unwrap_or_else(|| "?column?".to_owned())
}
