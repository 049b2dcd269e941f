SELECT customer_id, sum(amount) AS amount
FROM events."invoicing.invoice_issued"
GROUP BY customer_id
HAVING sum(amount) <> 0 AND count(*) > 1
