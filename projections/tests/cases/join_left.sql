SELECT i.invoice_id, i.customer_id, p.payment_id, p.amount
FROM events."invoicing.invoice_issued" AS i
LEFT JOIN events."invoicing.payment_received" AS p ON p.invoice_id = i.invoice_id
