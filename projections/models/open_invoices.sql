-- Invoices with a balance (amount − payments − credits, each in the invoice's own currency), how
-- many days past due they are today, and the ageing bucket that puts them in.
-- A voided invoice has no balance. Not yet due counts as `current`, with zero or fewer days.
-- key: invoice_id
WITH payments AS (
    SELECT invoice_id, currency, sum(amount) AS paid
    FROM events."invoicing.payment_received"
    GROUP BY invoice_id, currency
),
balances AS (
    SELECT
        i.invoice_id,
        i.customer_id,
        i.project_id,
        i.currency,
        i.issue_date,
        i.due_date,
        i.amount,
        coalesce(p.paid, 0) AS paid,
        i.credited,
        i.amount - coalesce(p.paid, 0) - i.credited AS balance
    FROM standing_invoices AS i
    LEFT JOIN payments AS p ON p.invoice_id = i.invoice_id AND p.currency = i.currency
    WHERE NOT i.voided
)
SELECT
    invoice_id,
    customer_id,
    project_id,
    currency,
    issue_date,
    due_date,
    amount,
    CAST(paid AS DECIMAL(38, 4)) AS paid,
    CAST(credited AS DECIMAL(38, 4)) AS credited,
    CAST(balance AS DECIMAL(38, 4)) AS balance,
    current_date - due_date AS days_overdue,
    CASE
        WHEN current_date - due_date <= 0 THEN 'current'
        WHEN current_date - due_date <= 30 THEN 'd1_30'
        WHEN current_date - due_date <= 60 THEN 'd31_60'
        WHEN current_date - due_date <= 90 THEN 'd61_90'
        WHEN current_date - due_date > 90 THEN 'd90_plus'
    END AS bucket
FROM balances
WHERE balance <> 0
