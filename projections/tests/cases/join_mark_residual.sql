SELECT i.event_id, i.invoice_id
FROM events."invoicing.invoice_issued" AS i
WHERE CASE
    WHEN i.currency = 'EUR'
    THEN EXISTS (
        SELECT 1 FROM events."invoicing.payment_received" AS p
        WHERE p.invoice_id = i.invoice_id AND p.amount >= i.amount
    )
    ELSE NOT EXISTS (SELECT 1 FROM events."invoicing.invoice_voided" AS v WHERE v.invoice_id = i.invoice_id)
END
