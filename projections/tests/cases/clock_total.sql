SELECT current_date AS today, count(*) FILTER (WHERE due_date < current_date) AS overdue
FROM events."invoicing.invoice_issued"
