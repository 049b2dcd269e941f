SELECT i.invoice_id, p.payment_id, p.amount, i.amount AS invoiced
FROM events."invoicing.invoice_issued" AS i
JOIN events."invoicing.payment_received" AS p
    ON p.invoice_id = i.invoice_id AND (p.amount < i.amount OR p.paid_on > i.due_date)
