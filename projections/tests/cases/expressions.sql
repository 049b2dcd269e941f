SELECT
    upper(customer_id) || '/' || invoice_id AS label,
    coalesce(project_id, '-') AS project,
    amount * 2 AS doubled,
    round(CAST(amount AS DOUBLE)) AS rounded,
    date_part('month', due_date) AS month,
    date_trunc('week', occurred_at) AS week,
    amount > 10 AND currency = 'EUR' AS large,
    CASE currency WHEN 'EUR' THEN 1 WHEN 'USD' THEN 2 END AS number
FROM events."invoicing.invoice_issued"
