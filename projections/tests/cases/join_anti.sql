SELECT i.event_id, i.invoice_id
FROM events."invoicing.invoice_issued" AS i
WHERE NOT EXISTS (
    SELECT 1 FROM events."invoicing.invoice_voided" AS v WHERE v.invoice_id = i.invoice_id
)
