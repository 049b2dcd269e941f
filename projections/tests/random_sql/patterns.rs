//! Queries that people write for time: the first few of each, as-of look-ups, windows and sessions.

use super::dice::Dice;
use super::grammar::Named;
use super::syntax::Ty;

/// One of them over one or two event types, in parentheses.
pub(crate) fn any(dice: &mut Dice, events: &[Named]) -> Named {
    let relation = dice.pick(events).clone();
    let other = dice.pick(events).clone();
    let key = key(dice, &relation);
    match dice.below(6) {
        0 => first_few(dice, &relation, &key),
        1 => as_of(&relation, &key, &other, &self::key(dice, &other)),
        2 => tumbling(&relation, &key),
        3 => sessions(&relation, &key),
        4 => hopping(&relation, &key),
        _ => latest(&relation, &key),
    }
}

/// A column of text: every event type has `event_id` at least.
fn key(dice: &mut Dice, of: &Named) -> String {
    let texts: Vec<&String> = of
        .columns
        .iter()
        .filter(|(name, ty)| *ty == Ty::Text && name != "event_id" && name != "subject")
        .map(|(name, _)| name)
        .collect();
    if texts.is_empty() { "event_id".into() } else { (*dice.pick(&texts)).clone() }
}

fn named(sql: String, construct: &'static str, columns: &[(&str, Ty)]) -> Named {
    let columns = columns.iter().map(|(name, ty)| ((*name).to_owned(), *ty)).collect();
    Named { sql, construct, columns, events: false }
}

fn first_few(dice: &mut Dice, of: &Named, key: &str) -> Named {
    let (relation, count) = (&of.sql, 1 + dice.below(3));
    let order =
        *dice.pick(&["occurred_at DESC, event_id", "event_id", "occurred_at, event_id DESC"]);
    let condition = match dice.below(3) {
        0 => format!("place <= {count}"),
        1 => format!("place < {}", count + 1),
        _ => "place = 1".to_owned(),
    };
    named(
        format!(
            "(SELECT event_id, {key} AS k, occurred_at FROM (SELECT *, row_number() OVER \
             (PARTITION BY {key} ORDER BY {order}) AS place FROM {relation}) WHERE {condition})"
        ),
        "the first few of each",
        &[("event_id", Ty::Text), ("k", Ty::Text), ("occurred_at", Ty::Instant)],
    )
}

fn as_of(left: &Named, key: &str, right: &Named, other_key: &str) -> Named {
    let (left, right) = (&left.sql, &right.sql);
    named(
        format!(
            "(SELECT l.event_id, l.{key} AS k, last_value(r.event_id ORDER BY r.occurred_at, \
             r.event_id) AS found, last_value(r.occurred_at ORDER BY r.occurred_at, r.event_id) \
             AS since FROM {left} AS l LEFT JOIN {right} AS r ON r.{other_key} = l.{key} \
             AND r.occurred_at <= l.occurred_at GROUP BY l.event_id, l.{key})"
        ),
        "as of",
        &[("event_id", Ty::Text), ("k", Ty::Text), ("found", Ty::Text), ("since", Ty::Instant)],
    )
}

fn tumbling(of: &Named, key: &str) -> Named {
    let relation = &of.sql;
    let start = "date_bin(INTERVAL '2 hours', occurred_at, TIMESTAMP '2025-01-01T00:00:00Z')";
    named(
        format!(
            "(SELECT {start} AS start, {key} AS k, count(*) AS n FROM {relation} \
             GROUP BY {start}, {key})"
        ),
        "tumbling windows",
        &[("start", Ty::Instant), ("k", Ty::Text), ("n", Ty::Int)],
    )
}

/// Each event in the two windows of four hours that it falls into.
fn hopping(of: &Named, key: &str) -> Named {
    let relation = &of.sql;
    let start = "date_bin(INTERVAL '2 hours', occurred_at, TIMESTAMP '2025-01-01T00:00:00Z')";
    named(
        format!(
            "(SELECT start, k, count(*) AS n, min(occurred_at) AS first FROM (\
             SELECT {start} AS start, {key} AS k, occurred_at FROM {relation} UNION ALL \
             SELECT {start} - INTERVAL '2 hours' AS start, {key} AS k, occurred_at \
             FROM {relation}) GROUP BY start, k)"
        ),
        "hopping windows",
        &[("start", Ty::Instant), ("k", Ty::Text), ("n", Ty::Int), ("first", Ty::Instant)],
    )
}

fn sessions(of: &Named, key: &str) -> Named {
    let relation = &of.sql;
    let window = format!("OVER (PARTITION BY {key} ORDER BY occurred_at, event_id)");
    named(
        format!(
            "(SELECT k, session, min(occurred_at) AS start, count(*) AS n FROM (\
             SELECT k, occurred_at, sum(fresh) OVER (PARTITION BY k ORDER BY occurred_at, event_id \
             ROWS UNBOUNDED PRECEDING) AS session FROM (\
             SELECT {key} AS k, occurred_at, event_id, CASE WHEN occurred_at - \
             lag(occurred_at) {window} <= INTERVAL '1 hour' THEN 0 ELSE 1 END AS fresh \
             FROM {relation})) GROUP BY k, session)"
        ),
        "sessions",
        &[("k", Ty::Text), ("session", Ty::Int), ("start", Ty::Instant), ("n", Ty::Int)],
    )
}

fn latest(of: &Named, key: &str) -> Named {
    let relation = &of.sql;
    named(
        format!(
            "(SELECT {key} AS k, last_value(event_id ORDER BY occurred_at, event_id) AS event_id, \
             max(occurred_at) AS at FROM {relation} GROUP BY {key})"
        ),
        "the latest of each",
        &[("k", Ty::Text), ("event_id", Ty::Text), ("at", Ty::Instant)],
    )
}
