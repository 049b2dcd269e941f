SELECT i.event_id AS invoice, p.event_id AS payment, coalesce(i.invoice_id, p.invoice_id) AS id
FROM events."invoicing.invoice_issued" AS i
FULL JOIN events."invoicing.payment_received" AS p
    ON p.invoice_id = i.invoice_id AND p.amount < i.amount
