SELECT i.event_id, p.event_id AS payment
FROM events."invoicing.invoice_issued" AS i
LEFT JOIN events."invoicing.payment_received" AS p
    ON p.invoice_id = i.invoice_id
    AND p.amount > i.amount - (SELECT count(*) FROM events."invoicing.invoice_voided")
