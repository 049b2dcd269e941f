SELECT
    customer_id,
    sum(CASE WHEN due_date < current_date THEN amount ELSE 0 END) AS overdue,
    max(current_date - due_date) AS longest
FROM events."invoicing.invoice_issued"
GROUP BY customer_id
