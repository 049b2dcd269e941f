//! The functions and operators that queries are made of, as forms with places for arguments.
//! Every one has an answer that follows from its arguments, whatever the order of the rows: what
//! depends on an order names one that leaves no ties that matter.

use super::syntax::Ty::{self, Bool, Date, Decimal, Instant, Int, Text};
use Of::{Any, Is, Same};

/// The type of an argument or a result.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Of {
    Is(Ty),
    /// That of the result.
    Same,
    /// One chosen for all such arguments of the call.
    Any,
}

/// SQL with `$0`, `$1`, … for arguments.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form {
    pub(crate) sql: &'static str,
    pub(crate) takes: &'static [Of],
    pub(crate) gives: Of,
    pub(crate) construct: &'static str,
}

const fn form(sql: &'static str, takes: &'static [Of], gives: Of, construct: &'static str) -> Form {
    Form { sql, takes, gives, construct }
}

/// Forms of one value for one row.
pub(crate) const SCALARS: &[Form] = &[
    form("coalesce($0, $1)", &[Same, Same], Same, "coalesce"),
    form("nullif($0, $1)", &[Same, Same], Same, "nullif"),
    form("CASE WHEN $0 THEN $1 ELSE $2 END", &[Is(Bool), Same, Same], Same, "CASE"),
    form("CASE WHEN $0 THEN $1 END", &[Is(Bool), Same], Same, "CASE"),
    form(
        "CASE $0 WHEN 'a' THEN $1 WHEN 'b' THEN $2 ELSE $1 END",
        &[Is(Text), Same, Same],
        Same,
        "CASE",
    ),
    form("greatest($0, $1)", &[Same, Same], Same, "greatest, least"),
    form("least($0, $1)", &[Same, Same], Same, "greatest, least"),
    // Truth.
    form("($0 = $1)", &[Any, Any], Is(Bool), "comparison"),
    form("($0 = $1)", &[Is(Text), Is(Text)], Is(Bool), "comparison"),
    form("($0 <> $1)", &[Any, Any], Is(Bool), "comparison"),
    form("($0 < $1)", &[Any, Any], Is(Bool), "comparison"),
    form("($0 >= $1)", &[Any, Any], Is(Bool), "comparison"),
    form("($0 IS DISTINCT FROM $1)", &[Any, Any], Is(Bool), "IS DISTINCT FROM"),
    form("($0 IS NOT DISTINCT FROM $1)", &[Any, Any], Is(Bool), "IS DISTINCT FROM"),
    form("($0 IS NULL)", &[Any], Is(Bool), "IS NULL"),
    form("($0 IS NOT NULL)", &[Any], Is(Bool), "IS NULL"),
    form("($0 BETWEEN $1 AND $2)", &[Any, Any, Any], Is(Bool), "BETWEEN"),
    form("($0 IN ($1, $2))", &[Any, Any, Any], Is(Bool), "IN a list"),
    form("($0 NOT IN ($1, $2))", &[Any, Any, Any], Is(Bool), "IN a list"),
    form("($0 AND $1)", &[Is(Bool), Is(Bool)], Is(Bool), "AND, OR, NOT"),
    form("($0 OR $1)", &[Is(Bool), Is(Bool)], Is(Bool), "AND, OR, NOT"),
    form("(NOT $0)", &[Is(Bool)], Is(Bool), "AND, OR, NOT"),
    form("($0 IS TRUE)", &[Is(Bool)], Is(Bool), "IS TRUE"),
    form("($0 IS NOT FALSE)", &[Is(Bool)], Is(Bool), "IS TRUE"),
    form("($0 IS UNKNOWN)", &[Is(Bool)], Is(Bool), "IS TRUE"),
    form("($0 LIKE 'a%')", &[Is(Text)], Is(Bool), "LIKE"),
    form("($0 NOT ILIKE '%B%')", &[Is(Text)], Is(Bool), "LIKE"),
    form("starts_with($0, $1)", &[Is(Text), Is(Text)], Is(Bool), "text function"),
    form("(($0 - $1) > INTERVAL '2 hours')", &[Is(Instant), Is(Instant)], Is(Bool), "interval"),
    // Whole numbers; products are kept small.
    form("($0 + $1)", &[Is(Int), Is(Int)], Is(Int), "arithmetic"),
    form("($0 - $1)", &[Is(Int), Is(Int)], Is(Int), "arithmetic"),
    form("(($0 % 1000) * ($1 % 1000))", &[Is(Int), Is(Int)], Is(Int), "arithmetic"),
    form("($0 % 3)", &[Is(Int)], Is(Int), "arithmetic"),
    form("($0 / 4)", &[Is(Int)], Is(Int), "arithmetic"),
    form("($0 / nullif($1, 0))", &[Is(Int), Is(Int)], Is(Int), "arithmetic"),
    form("(- $0)", &[Is(Int)], Is(Int), "arithmetic"),
    form("abs($0)", &[Is(Int)], Is(Int), "arithmetic"),
    form("($0 - $1)", &[Is(Date), Is(Date)], Is(Int), "date arithmetic"),
    form("CAST(extract(DOW FROM $0) AS BIGINT)", &[Is(Date)], Is(Int), "extract"),
    form("CAST(extract(MONTH FROM $0) AS BIGINT)", &[Is(Date)], Is(Int), "extract"),
    form("CAST(date_part('hour', $0) AS BIGINT)", &[Is(Instant)], Is(Int), "extract"),
    form("business_days($0, $1)", &[Is(Date), Is(Date)], Is(Int), "business_days"),
    form("CAST(fiscal_quarter($0, 4) AS BIGINT)", &[Is(Date)], Is(Int), "fiscal_quarter"),
    form("CAST(length($0) AS BIGINT)", &[Is(Text)], Is(Int), "text function"),
    form("CAST(strpos($0, $1) AS BIGINT)", &[Is(Text), Is(Text)], Is(Int), "text function"),
    form("CAST($0 AS BIGINT)", &[Is(Bool)], Is(Int), "cast"),
    form("TRY_CAST($0 AS BIGINT)", &[Is(Text)], Is(Int), "TRY_CAST"),
    form("TRY_CAST($0 AS BIGINT)", &[Is(Decimal)], Is(Int), "TRY_CAST"),
    // Decimals; factors are kept small enough for their product.
    form("($0 + $1)", &[Is(Decimal), Is(Decimal)], Is(Decimal), "arithmetic"),
    form("($0 - $1)", &[Is(Decimal), Is(Decimal)], Is(Decimal), "arithmetic"),
    form("(- $0)", &[Is(Decimal)], Is(Decimal), "arithmetic"),
    form("abs($0)", &[Is(Decimal)], Is(Decimal), "arithmetic"),
    form(
        "CAST(TRY_CAST($0 AS DECIMAL(12, 4)) * TRY_CAST($1 AS DECIMAL(12, 4)) AS DECIMAL(38, 4))",
        &[Is(Decimal), Is(Decimal)],
        Is(Decimal),
        "arithmetic",
    ),
    form(
        "CAST(TRY_CAST($0 AS DECIMAL(12, 4)) / nullif(TRY_CAST($1 AS DECIMAL(12, 4)), 0) \
         AS DECIMAL(38, 4))",
        &[Is(Decimal), Is(Decimal)],
        Is(Decimal),
        "arithmetic",
    ),
    form("CAST(round($0, 1) AS DECIMAL(38, 4))", &[Is(Decimal)], Is(Decimal), "arithmetic"),
    form("CAST($0 AS DECIMAL(38, 4))", &[Is(Int)], Is(Decimal), "cast"),
    form("TRY_CAST($0 AS DECIMAL(38, 4))", &[Is(Text)], Is(Decimal), "TRY_CAST"),
    // Text.
    form("upper($0)", &[Is(Text)], Is(Text), "text function"),
    form("($0 || $1)", &[Is(Text), Is(Text)], Is(Text), "text function"),
    form("concat($0, '/', $1)", &[Is(Text), Is(Text)], Is(Text), "text function"),
    form("substr($0, 1, 1)", &[Is(Text)], Is(Text), "text function"),
    form("replace($0, 'a', $1)", &[Is(Text), Is(Text)], Is(Text), "text function"),
    form("left($0, 1)", &[Is(Text)], Is(Text), "text function"),
    form("regexp_replace($0, '[bc]', 'x')", &[Is(Text)], Is(Text), "text function"),
    form("CAST($0 AS VARCHAR)", &[Is(Int)], Is(Text), "cast"),
    form("CAST($0 AS VARCHAR)", &[Is(Date)], Is(Text), "cast"),
    form("CAST($0 AS VARCHAR)", &[Is(Decimal)], Is(Text), "cast"),
    form("CAST($0 AS VARCHAR)", &[Is(Bool)], Is(Text), "cast"),
    // Days and instants.
    form("CAST($0 + INTERVAL '1 month' AS DATE)", &[Is(Date)], Is(Date), "date arithmetic"),
    form("CAST($0 - INTERVAL '3 days' AS DATE)", &[Is(Date)], Is(Date), "date arithmetic"),
    form("CAST(date_trunc('month', $0) AS DATE)", &[Is(Date)], Is(Date), "date_trunc"),
    form("CAST(date_trunc('week', $0) AS DATE)", &[Is(Date)], Is(Date), "date_trunc"),
    form("CAST($0 AS DATE)", &[Is(Instant)], Is(Date), "cast"),
    form("TRY_CAST($0 AS DATE)", &[Is(Text)], Is(Date), "TRY_CAST"),
    form("date_trunc('hour', $0)", &[Is(Instant)], Is(Instant), "date_trunc"),
    form(
        "date_bin(INTERVAL '2 hours', $0, TIMESTAMP '2025-01-01T00:00:00Z')",
        &[Is(Instant)],
        Is(Instant),
        "date_bin",
    ),
    form("($0 + INTERVAL '90 minutes')", &[Is(Instant)], Is(Instant), "interval"),
    form(
        "arrow_cast($0, 'Timestamp(Microsecond, Some(\"UTC\"))')",
        &[Is(Date)],
        Is(Instant),
        "cast",
    ),
];

/// The construct of [`RISKS`].
pub(crate) const RISK: &str = "an error at run time";

/// Forms that some rows have no value for: the view fails for the tenant, and for nobody else.
pub(crate) const RISKS: &[Form] = &[
    form("($0 / $1)", &[Is(Int), Is(Int)], Is(Int), RISK),
    form("CAST($0 AS BIGINT)", &[Is(Text)], Is(Int), RISK),
    form("CAST($0 AS DATE)", &[Is(Text)], Is(Date), RISK),
    form(
        "CAST($0 * 9000000000000000000000000000 AS DECIMAL(38, 4))",
        &[Is(Decimal)],
        Is(Decimal),
        RISK,
    ),
];

/// Forms of one value for a group of rows.
pub(crate) const AGGREGATES: &[Form] = &[
    form("count(*)", &[], Is(Int), "count"),
    form("count(*)", &[], Is(Int), "count"),
    form("count($0)", &[Any], Is(Int), "count"),
    form("count(DISTINCT $0)", &[Any], Is(Int), "count(DISTINCT)"),
    form("sum($0)", &[Is(Int)], Is(Int), "sum"),
    form("sum($0)", &[Is(Decimal)], Is(Decimal), "sum"),
    form("sum($0)", &[Is(Decimal)], Is(Decimal), "sum"),
    form("sum(DISTINCT $0)", &[Is(Decimal)], Is(Decimal), "sum(DISTINCT)"),
    form("sum(DISTINCT $0)", &[Is(Int)], Is(Int), "sum(DISTINCT)"),
    form("CAST(avg($0) AS DECIMAL(38, 4))", &[Is(Decimal)], Is(Decimal), "avg"),
    form("CAST(avg($0) * 1000 AS BIGINT)", &[Is(Int)], Is(Int), "avg"),
    form("min($0)", &[Same], Same, "min, max"),
    form("max($0)", &[Same], Same, "min, max"),
    form("CAST(median($0) * 1000 AS BIGINT)", &[Is(Int)], Is(Int), "median"),
    form("median($0)", &[Is(Decimal)], Is(Decimal), "median"),
    form(
        "CAST(percentile_cont(0.25) WITHIN GROUP (ORDER BY $0) * 1000 AS BIGINT)",
        &[Is(Int)],
        Is(Int),
        "percentile_cont",
    ),
    form("bool_and($0)", &[Is(Bool)], Is(Bool), "bool_and, bool_or"),
    form("bool_or($0)", &[Is(Bool)], Is(Bool), "bool_and, bool_or"),
    form("string_agg($0, ',' ORDER BY $0)", &[Is(Text)], Is(Text), "string_agg"),
    form("string_agg($0, ',' ORDER BY $1 DESC, $0)", &[Is(Text), Any], Is(Text), "string_agg"),
    form("string_agg(CAST($0 AS VARCHAR), ',' ORDER BY $0)", &[Any], Is(Text), "string_agg"),
    form("first_value($0 ORDER BY $1)", &[Same, Any], Same, "first_value, last_value"),
    form("last_value($0 IGNORE NULLS ORDER BY $1)", &[Same, Any], Same, "IGNORE NULLS"),
    form("first_value($0 IGNORE NULLS ORDER BY $1 DESC, $0)", &[Same, Any], Same, "IGNORE NULLS"),
    form("string_agg($0, ',' ORDER BY $1)", &[Is(Text), Any], Is(Text), "string_agg"),
    form("first_value($0 ORDER BY $1, $0)", &[Same, Any], Same, "first_value, last_value"),
    form("last_value($0 ORDER BY $1, $0)", &[Same, Any], Same, "first_value, last_value"),
    form(
        "last_value($0 ORDER BY $1 DESC NULLS LAST, $0)",
        &[Same, Any],
        Same,
        "first_value, last_value",
    ),
];

/// Where the rows of a window function are, and in what order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Over {
    /// Ties are alike for it.
    Peers,
    /// It needs an order without ties that differ.
    Total,
    /// The whole partition.
    Partition,
    /// The moments before, by an order of instants.
    Moments,
    /// The peers around.
    Groups,
}

/// Window functions; the window follows at `@`.
pub(crate) const WINDOWS: &[(Form, Over)] = &[
    (form("CAST(row_number() @ AS BIGINT)", &[], Is(Int), "row_number"), Over::Total),
    (form("CAST(rank() @ AS BIGINT)", &[], Is(Int), "rank"), Over::Peers),
    (form("CAST(dense_rank() @ AS BIGINT)", &[], Is(Int), "rank"), Over::Peers),
    (form("CAST(ntile(2) @ AS BIGINT)", &[], Is(Int), "ntile"), Over::Total),
    (form("lag($0) @", &[Same], Same, "lag, lead"), Over::Total),
    (form("lead($0, 2) @", &[Same], Same, "lag, lead"), Over::Total),
    (form("first_value($0) @", &[Same], Same, "first_value() OVER"), Over::Total),
    (form("last_value($0) @", &[Same], Same, "first_value() OVER"), Over::Total),
    (form("nth_value($0, 2) @", &[Same], Same, "first_value() OVER"), Over::Total),
    (form("sum($0) @", &[Is(Int)], Is(Int), "sum() OVER"), Over::Peers),
    (form("sum($0) @", &[Is(Decimal)], Is(Decimal), "sum() OVER"), Over::Total),
    (form("sum($0) @", &[Is(Decimal)], Is(Decimal), "sum() OVER"), Over::Partition),
    (form("count(*) @", &[], Is(Int), "count() OVER"), Over::Peers),
    (form("count($0) @", &[Any], Is(Int), "count() OVER"), Over::Total),
    (form("count(*) @", &[], Is(Int), "count() OVER"), Over::Partition),
    (form("count(*) @", &[], Is(Int), "count() OVER"), Over::Moments),
    (form("count(*) @", &[], Is(Int), "count() OVER"), Over::Groups),
    (form("sum($0) @", &[Is(Decimal)], Is(Decimal), "sum() OVER"), Over::Moments),
    (form("max($0) @", &[Same], Same, "min() OVER"), Over::Moments),
    (form("min($0) @", &[Same], Same, "min() OVER"), Over::Peers),
    (form("max($0) @", &[Same], Same, "min() OVER"), Over::Total),
    (form("max($0) @", &[Same], Same, "min() OVER"), Over::Partition),
];

/// Frames of rows in a total order; nothing is the default.
pub(crate) const FRAMES: &[&str] = &[
    "",
    "",
    " ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW",
    " ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING",
    " ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING",
    " ROWS BETWEEN 2 PRECEDING AND 1 PRECEDING",
    " RANGE BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING",
];
