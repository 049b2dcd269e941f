SELECT invoice_id, amount
FROM events."invoicing.invoice_issued"
WHERE amount > 10 AND (project_id = 'a' OR project_id IS NULL) AND currency IN ('EUR', 'CHF')
