SELECT i.customer_id, p.payment_id, p.amount
FROM events."invoicing.invoice_issued" AS i
RIGHT JOIN events."invoicing.payment_received" AS p
    ON p.invoice_id = i.invoice_id AND i.amount > p.amount
