SELECT date_trunc('month', due_date) AS month, amount > 0 AS positive, sum(amount) AS amount
FROM events."invoicing.invoice_issued"
GROUP BY date_trunc('month', due_date), amount > 0
