SELECT invoice_id, due_date, amount
FROM events."invoicing.invoice_issued"
WHERE due_date <= current_date AND current_date - due_date < 30
