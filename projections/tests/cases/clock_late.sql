WITH days AS (
    SELECT
        invoice_id,
        customer_id,
        amount,
        current_date - due_date AS overdue,
        current_date - issue_date AS age
    FROM events."invoicing.invoice_issued"
),
sorted AS (
    SELECT
        customer_id,
        amount,
        CASE WHEN overdue > 60 THEN 'late' WHEN overdue > 0 OR age > 90 THEN 'due' ELSE 'open' END AS state
    FROM days
    WHERE age >= 0
)
SELECT customer_id, state, count(*) AS invoices, sum(amount) AS amount
FROM sorted
GROUP BY customer_id, state
