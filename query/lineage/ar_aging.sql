-- What a customer owes in a currency: its invoices that are open, and what was paid and credited to
-- each. A payment lies in the bucket of its invoice; `undated` is what lies in none, before the tenant
-- has a date.
-- main: total
-- column current: current
-- column d1_30: d1_30
-- column d31_60: d31_60
-- column d61_90: d61_90
-- column d90_plus: d90_plus
-- column total: current + d1_30 + d31_60 + d61_90 + d90_plus + undated
WITH stated AS (
    SELECT
        *,
        row_number() OVER (PARTITION BY invoice_id ORDER BY occurred_at DESC, event_id DESC) AS age
    FROM events."invoicing.invoice_issued"
    WHERE invoice_id IN (
        SELECT invoice_id FROM events."invoicing.invoice_issued" WHERE customer_id = $customer_id
    )
),
invoices AS (
    SELECT event_id, occurred_at, subject, invoice_id, currency, issue_date, due_date, amount
    FROM stated AS s
    WHERE age = 1
        AND customer_id = $customer_id
        AND currency = $currency
        AND NOT EXISTS (
            SELECT 1 FROM events."invoicing.invoice_voided" AS v WHERE v.invoice_id = s.invoice_id
        )
),
entries AS (
    SELECT
        'invoicing.invoice_issued' AS type,
        event_id,
        occurred_at,
        subject,
        amount,
        invoice_id AS reference,
        invoice_id,
        issue_date AS day,
        due_date
    FROM invoices
    UNION ALL
    SELECT
        'invoicing.payment_received' AS type,
        p.event_id,
        p.occurred_at,
        p.subject,
        -p.amount AS amount,
        p.payment_id AS reference,
        p.invoice_id,
        p.paid_on AS day,
        i.due_date
    FROM events."invoicing.payment_received" AS p
    JOIN invoices AS i ON i.invoice_id = p.invoice_id AND i.currency = p.currency
    UNION ALL
    SELECT
        'invoicing.credit_issued' AS type,
        c.event_id,
        c.occurred_at,
        c.subject,
        -c.amount AS amount,
        c.credit_id AS reference,
        c.invoice_id,
        c.issued_on AS day,
        i.due_date
    FROM events."invoicing.credit_issued" AS c
    JOIN invoices AS i ON i.invoice_id = c.invoice_id AND i.currency = c.currency
),
-- Each entry with what is left of its invoice.
balanced AS (
    SELECT *, sum(CAST(amount AS DECIMAL(76, 4))) OVER (PARTITION BY invoice_id) AS balance
    FROM entries
)
SELECT
    CASE
        WHEN current_date - due_date <= 0 THEN 'current'
        WHEN current_date - due_date <= 30 THEN 'd1_30'
        WHEN current_date - due_date <= 60 THEN 'd31_60'
        WHEN current_date - due_date <= 90 THEN 'd61_90'
        WHEN current_date - due_date > 90 THEN 'd90_plus'
        ELSE 'undated'
    END AS part,
    type,
    event_id,
    occurred_at,
    subject,
    amount,
    reference,
    invoice_id,
    day,
    due_date
FROM balanced
WHERE balance <> 0
