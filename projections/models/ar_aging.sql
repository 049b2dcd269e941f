-- What each customer owes today in each currency, by how long it is overdue.
-- A customer without an open invoice has no row; open invoices may cancel out to a total of 0.
-- key: customer_id, currency
SELECT
    customer_id,
    currency,
    CAST(sum(CASE WHEN bucket = 'current' THEN balance ELSE 0 END) AS DECIMAL(38, 4)) AS "current",
    CAST(sum(CASE WHEN bucket = 'd1_30' THEN balance ELSE 0 END) AS DECIMAL(38, 4)) AS d1_30,
    CAST(sum(CASE WHEN bucket = 'd31_60' THEN balance ELSE 0 END) AS DECIMAL(38, 4)) AS d31_60,
    CAST(sum(CASE WHEN bucket = 'd61_90' THEN balance ELSE 0 END) AS DECIMAL(38, 4)) AS d61_90,
    CAST(sum(CASE WHEN bucket = 'd90_plus' THEN balance ELSE 0 END) AS DECIMAL(38, 4)) AS d90_plus,
    CAST(sum(balance) AS DECIMAL(38, 4)) AS total
FROM open_invoices
GROUP BY customer_id, currency
