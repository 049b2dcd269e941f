-- Money in a currency: every payment received, against every bill and payroll paid.
-- main: net
-- column received: received
-- column paid_out: paid_out
-- column net: received - paid_out
SELECT
    'received' AS part,
    'invoicing.payment_received' AS type,
    event_id,
    occurred_at,
    subject,
    amount,
    payment_id AS reference,
    paid_on AS day
FROM events."invoicing.payment_received"
WHERE currency = $currency
UNION ALL
SELECT
    'paid_out' AS part,
    'purchasing.bill_paid' AS type,
    event_id,
    occurred_at,
    subject,
    amount,
    payment_id AS reference,
    paid_on AS day
FROM events."purchasing.bill_paid"
WHERE currency = $currency
UNION ALL
SELECT
    'paid_out' AS part,
    'hr.payroll_paid' AS type,
    event_id,
    occurred_at,
    subject,
    amount,
    payroll_id AS reference,
    paid_on AS day
FROM events."hr.payroll_paid"
WHERE currency = $currency
