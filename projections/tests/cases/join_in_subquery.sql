SELECT event_id, invoice_id
FROM events."invoicing.invoice_issued"
WHERE invoice_id IN (SELECT invoice_id FROM events."invoicing.payment_received" WHERE amount > 0)
    AND invoice_id NOT IN (SELECT invoice_id FROM events."invoicing.invoice_voided")
