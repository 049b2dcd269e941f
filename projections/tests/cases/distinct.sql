SELECT DISTINCT customer_id, currency FROM events."invoicing.invoice_issued"
