-- Payments that no invoice takes, and why: the invoice is unknown, is in another currency, or has
-- been voided. They leave as soon as they apply.
-- A payment split over several invoices is one row, with all of it that does not apply: the
-- invoice is then null if there are several, the reason the first of the above that is met.
-- Parts in several currencies cannot be added up: then both currency and amount are null.
-- key: payment_id
WITH parts AS (
    SELECT
        p.payment_id,
        p.invoice_id,
        p.currency,
        p.amount,
        CASE
            WHEN i.invoice_id IS NULL THEN 1
            WHEN i.currency <> p.currency THEN 2
            WHEN i.voided THEN 3
        END AS obstacle
    FROM events."invoicing.payment_received" AS p
    LEFT JOIN standing_invoices AS i ON i.invoice_id = p.invoice_id
),
unapplied AS (
    SELECT
        payment_id,
        min(invoice_id) AS first_invoice,
        max(invoice_id) AS last_invoice,
        min(currency) AS first_currency,
        max(currency) AS last_currency,
        sum(amount) AS amount,
        min(obstacle) AS obstacle
    FROM parts
    WHERE obstacle IS NOT NULL
    GROUP BY payment_id
)
SELECT
    payment_id,
    CASE WHEN first_invoice = last_invoice THEN first_invoice END AS invoice_id,
    CASE WHEN first_currency = last_currency THEN first_currency END AS currency,
    CASE WHEN first_currency = last_currency THEN amount END AS amount,
    CASE obstacle
        WHEN 1 THEN 'unknown_invoice'
        WHEN 2 THEN 'other_currency'
        ELSE 'voided'
    END AS reason
FROM unapplied
WHERE first_currency <> last_currency OR amount IS DISTINCT FROM 0
