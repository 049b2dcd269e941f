-- Money that has come in and gone out so far, in each currency. What comes in is every payment
-- received, whether it applies to an invoice or not; what goes out is every bill and payroll paid.
-- Invoices, credits, bills and recorded expenses are no movements of money and do not count.
-- A figure beyond 34 digits is null.
-- key: currency
WITH movements AS (
    SELECT currency, amount AS received, 0 AS paid_out
    FROM events."invoicing.payment_received"
    UNION ALL
    SELECT currency, 0 AS received, amount AS paid_out
    FROM events."purchasing.bill_paid"
    UNION ALL
    SELECT currency, 0 AS received, amount AS paid_out
    FROM events."hr.payroll_paid"
),
totals AS (
    SELECT
        currency,
        TRY_CAST(sum(received) AS DECIMAL(38, 4)) AS received,
        TRY_CAST(sum(paid_out) AS DECIMAL(38, 4)) AS paid_out
    FROM movements
    GROUP BY currency
)
SELECT
    currency,
    received,
    paid_out,
    TRY_CAST(CAST(received AS DECIMAL(76, 4)) - paid_out AS DECIMAL(38, 4)) AS net
FROM totals
