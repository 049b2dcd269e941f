SELECT invoice_id, event_id, now() AS at, CAST(due_date AS TIMESTAMP) < now() AS overdue
FROM events."invoicing.invoice_issued"
WHERE occurred_at < now()
