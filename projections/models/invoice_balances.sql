-- Every invoice with what has been paid and credited to it in its own currency, and its balance:
-- amount − payments − credits, and 0 once it is voided. In 76 digits, so that all of it is exact.
-- internal
-- key: invoice_id
WITH entries AS (
    SELECT
        invoice_id,
        currency,
        CAST(amount AS DECIMAL(76, 4)) AS paid,
        CAST(0 AS DECIMAL(76, 4)) AS credited
    FROM events."invoicing.payment_received"
    UNION ALL
    SELECT invoice_id, currency, 0 AS paid, amount AS credited
    FROM events."invoicing.credit_issued"
),
settled AS (
    SELECT invoice_id, currency, sum(paid) AS paid, sum(credited) AS credited
    FROM entries
    GROUP BY invoice_id, currency
)
SELECT
    i.invoice_id,
    i.customer_id,
    i.project_id,
    i.currency,
    i.issue_date,
    i.due_date,
    i.amount,
    i.voided,
    coalesce(s.paid, 0) AS paid,
    coalesce(s.credited, 0) AS credited,
    CASE
        WHEN NOT i.voided
            THEN CAST(i.amount AS DECIMAL(76, 4)) - coalesce(s.paid, 0) - coalesce(s.credited, 0)
        ELSE 0
    END AS balance
FROM standing_invoices AS i
LEFT JOIN settled AS s ON s.invoice_id = i.invoice_id AND s.currency = i.currency
