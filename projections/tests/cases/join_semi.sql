SELECT i.event_id, i.invoice_id
FROM events."invoicing.invoice_issued" AS i
WHERE EXISTS (
    SELECT 1 FROM events."invoicing.payment_received" AS p
    WHERE p.invoice_id = i.invoice_id AND p.currency = i.currency
)
