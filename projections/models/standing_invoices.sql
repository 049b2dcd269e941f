-- Every invoice as it stands: the latest statement of it by (occurred_at, event_id), and whether
-- it has been voided. A voiding waits for its invoice.
-- internal
-- key: invoice_id
WITH statements AS (
    SELECT
        invoice_id, occurred_at, event_id, true AS issued,
        customer_id, project_id, currency, issue_date, due_date, amount
    FROM events."invoicing.invoice_issued"
    UNION ALL
    SELECT
        invoice_id, occurred_at, event_id, false AS issued,
        NULL, NULL, NULL, NULL, NULL, NULL
    FROM events."invoicing.invoice_voided"
),
invoices AS (
    SELECT
        invoice_id,
        last_value(issued ORDER BY issued, occurred_at, event_id) AS issued,
        last_value(customer_id ORDER BY issued, occurred_at, event_id) AS customer_id,
        last_value(project_id ORDER BY issued, occurred_at, event_id) AS project_id,
        last_value(currency ORDER BY issued, occurred_at, event_id) AS currency,
        last_value(issue_date ORDER BY issued, occurred_at, event_id) AS issue_date,
        last_value(due_date ORDER BY issued, occurred_at, event_id) AS due_date,
        last_value(amount ORDER BY issued, occurred_at, event_id) AS amount,
        NOT min(issued) AS voided
    FROM statements
    GROUP BY invoice_id
)
SELECT invoice_id, customer_id, project_id, currency, issue_date, due_date, amount, voided
FROM invoices
WHERE issued
