SELECT DISTINCT ON (customer_id) customer_id, invoice_id, amount, due_date
FROM events."invoicing.invoice_issued"
ORDER BY customer_id, amount DESC
