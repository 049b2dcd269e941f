SELECT customer_id, avg(amount) AS average, avg(issue_date - due_date) AS days
FROM events."invoicing.invoice_issued"
GROUP BY customer_id
