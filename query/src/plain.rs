//! Which queries are what a view of the same text is.

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{Query, SetExpr, Statement as SqlStatement};

use crate::{postgres, statement};

/// Whether a query is its rows and nothing else, in words that mean the same in a view: one `SELECT`
/// without an order or a limit at its end, and without what only PostgreSQL has. Parsing recurses as
/// deep as the SQL is nested: to be called with a large stack.
pub fn is_plain(sql: &str) -> bool {
    let Ok(statement) = statement::parse(sql, usize::MAX) else { return false };
    let mut rewritten = statement.clone();
    if postgres::rewrite(&mut rewritten).is_err() || rewritten != statement {
        return false;
    }
    match &statement {
        Statement::Statement(sql) => match sql.as_ref() {
            SqlStatement::Query(query) => is_unordered(query),
            _ => false,
        },
        _ => false,
    }
}

fn is_unordered(query: &Query) -> bool {
    let is_bare = query.order_by.is_none() && query.limit_clause.is_none() && query.fetch.is_none();
    // One in parentheses is what it is without them.
    let is_bare_within =
        if let SetExpr::Query(inner) = query.body.as_ref() { is_unordered(inner) } else { true };
    is_bare && is_bare_within
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_an_order_at_its_end_or_other_words_is_not_plain() {
        for sql in [
            "SELECT customer_id, sum(total) AS t FROM ar_aging GROUP BY customer_id;",
            "WITH top AS (SELECT total FROM ar_aging ORDER BY total LIMIT 3) SELECT * FROM top",
            "(SELECT total FROM ar_aging)",
            "SELECT total FROM ar_aging UNION ALL SELECT total FROM ar_aging",
            "SELECT event_id FROM events.\"crm.call_logged\" WHERE occurred_at < now()",
        ] {
            assert!(is_plain(sql), "{sql}");
        }
        for sql in [
            "SELECT total FROM ar_aging ORDER BY total",
            "SELECT total FROM ar_aging LIMIT 3",
            "SELECT total FROM ar_aging ORDER BY total FETCH FIRST 3 ROWS ONLY",
            "(SELECT total FROM ar_aging ORDER BY total LIMIT 3)",
            "SELECT relname FROM pg_class",
            "SELECT total, current_schema() FROM ar_aging",
            "EXPLAIN SELECT total FROM ar_aging",
            "DELETE FROM ar_aging",
        ] {
            assert!(!is_plain(sql), "{sql}");
        }
    }
}
