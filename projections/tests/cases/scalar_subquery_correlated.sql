SELECT
    i.event_id,
    (SELECT count(*) FROM events."invoicing.payment_received" AS p WHERE p.invoice_id = i.invoice_id) AS payments,
    (SELECT sum(p.amount) FROM events."invoicing.payment_received" AS p WHERE p.invoice_id = i.invoice_id) AS paid
FROM events."invoicing.invoice_issued" AS i
WHERE i.amount > (
    SELECT coalesce(max(c.amount), 0) FROM events."invoicing.credit_issued" AS c WHERE c.invoice_id = i.invoice_id
)
