-- A payment that does not apply: every event of it whose invoice is unknown, in another currency or
-- voided, and beside them what stands in the way, without an amount: the invoice in another currency,
-- or its voiding. An unknown invoice has no event.
-- main: amount
-- column invoice_id (where it is one): unapplied
--     => CASE WHEN min(invoice_id) = max(invoice_id) THEN max(invoice_id) END
-- column currency (where it is one): unapplied
--     => CASE WHEN min(currency) = max(currency) THEN max(currency) END
-- column amount (sum, where all are in one currency): unapplied
--     => CASE WHEN min(currency) = max(currency) THEN {unapplied} END
-- column reason (the first that holds of unknown_invoice, other_currency, voided): unapplied + obstacle
--     => coalesce(
--         max(reason) FILTER (WHERE part = 'unapplied' AND reason = 'unknown_invoice'),
--         max(reason) FILTER (WHERE part = 'unapplied' AND reason = 'other_currency'),
--         max(reason) FILTER (WHERE part = 'unapplied')
--     )
WITH payments AS (
    SELECT *
    FROM events."invoicing.payment_received"
    WHERE payment_id = $payment_id
),
stated AS (
    SELECT
        *,
        row_number() OVER (PARTITION BY invoice_id ORDER BY occurred_at DESC, event_id DESC) AS age
    FROM events."invoicing.invoice_issued"
    WHERE invoice_id IN (SELECT invoice_id FROM payments)
),
invoices AS (
    SELECT s.*, v.invoice_id IS NOT NULL AS voided
    FROM stated AS s
    LEFT JOIN (SELECT DISTINCT invoice_id FROM events."invoicing.invoice_voided") AS v
        ON v.invoice_id = s.invoice_id
    WHERE s.age = 1
),
unapplied AS (
    SELECT
        p.*,
        CASE
            WHEN i.invoice_id IS NULL THEN 'unknown_invoice'
            WHEN i.currency <> p.currency THEN 'other_currency'
            WHEN i.voided THEN 'voided'
        END AS reason
    FROM payments AS p
    LEFT JOIN invoices AS i ON i.invoice_id = p.invoice_id
)
SELECT
    'unapplied' AS part,
    'invoicing.payment_received' AS type,
    event_id,
    occurred_at,
    subject,
    amount,
    invoice_id,
    currency,
    paid_on AS day,
    reason
FROM unapplied
WHERE reason IS NOT NULL
UNION ALL
SELECT
    'obstacle' AS part,
    'invoicing.invoice_issued' AS type,
    event_id,
    occurred_at,
    subject,
    NULL AS amount,
    invoice_id,
    currency,
    issue_date AS day,
    'other_currency' AS reason
FROM invoices
WHERE invoice_id IN (SELECT invoice_id FROM unapplied WHERE reason = 'other_currency')
UNION ALL
SELECT
    'obstacle' AS part,
    'invoicing.invoice_voided' AS type,
    event_id,
    occurred_at,
    subject,
    NULL AS amount,
    invoice_id,
    NULL AS currency,
    NULL AS day,
    'voided' AS reason
FROM events."invoicing.invoice_voided"
WHERE invoice_id IN (SELECT invoice_id FROM unapplied WHERE reason = 'voided')
