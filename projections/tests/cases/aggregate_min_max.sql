SELECT
    customer_id,
    min(amount) AS smallest,
    max(amount) AS largest,
    min(due_date) AS first_due,
    max(project_id) AS last_project,
    min(occurred_at) AS first_seen
FROM events."invoicing.invoice_issued"
GROUP BY customer_id
