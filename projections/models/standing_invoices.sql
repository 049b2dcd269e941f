-- Every invoice as it stands: the latest statement of it by (occurred_at, event_id), whether it
-- has been voided, and what has been credited to it in its own currency.
-- internal
-- key: invoice_id
WITH issued AS (
    SELECT
        invoice_id,
        last_value(customer_id ORDER BY occurred_at, event_id) AS customer_id,
        last_value(project_id ORDER BY occurred_at, event_id) AS project_id,
        last_value(currency ORDER BY occurred_at, event_id) AS currency,
        last_value(issue_date ORDER BY occurred_at, event_id) AS issue_date,
        last_value(due_date ORDER BY occurred_at, event_id) AS due_date,
        last_value(amount ORDER BY occurred_at, event_id) AS amount
    FROM events."invoicing.invoice_issued"
    GROUP BY invoice_id
),
credits AS (
    SELECT invoice_id, currency, sum(amount) AS credited
    FROM events."invoicing.credit_issued"
    GROUP BY invoice_id, currency
),
voids AS (
    SELECT DISTINCT invoice_id FROM events."invoicing.invoice_voided"
)
SELECT
    i.invoice_id,
    i.customer_id,
    i.project_id,
    i.currency,
    i.issue_date,
    i.due_date,
    i.amount,
    coalesce(c.credited, 0) AS credited,
    v.invoice_id IS NOT NULL AS voided
FROM issued AS i
LEFT JOIN credits AS c ON c.invoice_id = i.invoice_id AND c.currency = i.currency
LEFT JOIN voids AS v ON v.invoice_id = i.invoice_id
