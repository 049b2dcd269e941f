-- What each customer owes today in each currency, by how long it is overdue.
-- A customer without an open invoice has no row; open invoices may cancel out to a total of 0.
-- A figure beyond 34 digits is null.
-- key: customer_id, currency
WITH buckets AS (
    SELECT
        customer_id,
        currency,
        sum(balance) FILTER (WHERE bucket = 'current') AS "current",
        sum(balance) FILTER (WHERE bucket = 'd1_30') AS d1_30,
        sum(balance) FILTER (WHERE bucket = 'd31_60') AS d31_60,
        sum(balance) FILTER (WHERE bucket = 'd61_90') AS d61_90,
        sum(balance) FILTER (WHERE bucket = 'd90_plus') AS d90_plus,
        sum(balance) AS total
    FROM aged_balances
    GROUP BY customer_id, currency
)
SELECT
    customer_id,
    currency,
    TRY_CAST(coalesce("current", 0) AS DECIMAL(38, 4)) AS "current",
    TRY_CAST(coalesce(d1_30, 0) AS DECIMAL(38, 4)) AS d1_30,
    TRY_CAST(coalesce(d31_60, 0) AS DECIMAL(38, 4)) AS d31_60,
    TRY_CAST(coalesce(d61_90, 0) AS DECIMAL(38, 4)) AS d61_90,
    TRY_CAST(coalesce(d90_plus, 0) AS DECIMAL(38, 4)) AS d90_plus,
    TRY_CAST(total AS DECIMAL(38, 4)) AS total
FROM buckets
