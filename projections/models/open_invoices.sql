-- Invoices with a balance (amount − payments − credits, each in the invoice's own currency), how
-- many days past due they are today, and the ageing bucket that puts them in.
-- A voided invoice has no balance. A figure beyond 34 digits is null.
-- key: invoice_id
SELECT
    invoice_id,
    customer_id,
    project_id,
    currency,
    issue_date,
    due_date,
    amount,
    TRY_CAST(paid AS DECIMAL(38, 4)) AS paid,
    TRY_CAST(credited AS DECIMAL(38, 4)) AS credited,
    TRY_CAST(balance AS DECIMAL(38, 4)) AS balance,
    current_date - due_date AS days_overdue,
    bucket
FROM aged_balances
