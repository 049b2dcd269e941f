-- An invoice: the statement of it that stands, and the payments and credits that apply to it, which
-- are those in its currency.
-- main: balance
-- column customer_id: invoiced => max(customer_id)
-- column project_id: invoiced => max(project_id)
-- column currency: invoiced => max(currency)
-- column issue_date: invoiced => max(day)
-- column due_date: invoiced => max(due_date)
-- column amount: invoiced
-- column paid: paid
-- column credited: credited
-- column balance: invoiced - paid - credited
-- column days_overdue (today - due_date): invoiced => current_date - max(due_date)
-- column bucket (where today - due_date falls): invoiced
--     => CASE
--         WHEN current_date - max(due_date) <= 0 THEN 'current'
--         WHEN current_date - max(due_date) <= 30 THEN 'd1_30'
--         WHEN current_date - max(due_date) <= 60 THEN 'd31_60'
--         WHEN current_date - max(due_date) <= 90 THEN 'd61_90'
--         WHEN current_date - max(due_date) > 90 THEN 'd90_plus'
--     END
WITH invoice AS (
    SELECT *
    FROM events."invoicing.invoice_issued"
    WHERE invoice_id = $invoice_id
    ORDER BY occurred_at DESC, event_id DESC
    LIMIT 1
)
SELECT
    'invoiced' AS part,
    'invoicing.invoice_issued' AS type,
    event_id,
    occurred_at,
    subject,
    amount,
    invoice_id AS reference,
    customer_id,
    project_id,
    currency,
    issue_date AS day,
    due_date
FROM invoice
UNION ALL
SELECT
    'paid' AS part,
    'invoicing.payment_received' AS type,
    p.event_id,
    p.occurred_at,
    p.subject,
    p.amount,
    p.payment_id AS reference,
    NULL AS customer_id,
    NULL AS project_id,
    p.currency,
    p.paid_on AS day,
    NULL AS due_date
FROM events."invoicing.payment_received" AS p
JOIN invoice AS i ON i.invoice_id = p.invoice_id AND i.currency = p.currency
UNION ALL
SELECT
    'credited' AS part,
    'invoicing.credit_issued' AS type,
    c.event_id,
    c.occurred_at,
    c.subject,
    c.amount,
    c.credit_id AS reference,
    NULL AS customer_id,
    NULL AS project_id,
    c.currency,
    c.issued_on AS day,
    NULL AS due_date
FROM events."invoicing.credit_issued" AS c
JOIN invoice AS i ON i.invoice_id = c.invoice_id AND i.currency = c.currency
