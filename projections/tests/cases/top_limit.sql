largest := SELECT invoice_id, amount FROM events."invoicing.invoice_issued" ORDER BY amount DESC LIMIT 3;
SELECT l.invoice_id, l.amount, p.payment_id
FROM largest AS l
LEFT JOIN (SELECT * FROM events."invoicing.payment_received" ORDER BY paid_on, event_id LIMIT 4 OFFSET 1) AS p
    ON p.invoice_id = l.invoice_id
ORDER BY l.amount
