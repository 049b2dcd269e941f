SELECT i.event_id, i.invoice_id
FROM events."invoicing.invoice_issued" AS i
WHERE i.amount > 50
    OR EXISTS (SELECT 1 FROM events."invoicing.payment_received" AS p WHERE p.invoice_id = i.invoice_id)
    OR i.customer_id IN (SELECT v.invoice_id FROM events."invoicing.invoice_voided" AS v)
