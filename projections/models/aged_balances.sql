-- Invoices with a balance, and the ageing bucket that they are in today. Not yet due, with zero or
-- fewer days overdue, counts as `current`.
-- internal
-- key: invoice_id
SELECT
    invoice_id,
    customer_id,
    project_id,
    currency,
    issue_date,
    due_date,
    amount,
    paid,
    credited,
    balance,
    CASE
        WHEN current_date - due_date <= 0 THEN 'current'
        WHEN current_date - due_date <= 30 THEN 'd1_30'
        WHEN current_date - due_date <= 60 THEN 'd31_60'
        WHEN current_date - due_date <= 90 THEN 'd61_90'
        WHEN current_date - due_date > 90 THEN 'd90_plus'
    END AS bucket
FROM invoice_balances
WHERE balance <> 0
