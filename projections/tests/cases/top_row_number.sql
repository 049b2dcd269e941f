SELECT customer_id, invoice_id, amount, place
FROM (
    SELECT *, row_number() OVER (PARTITION BY customer_id ORDER BY amount DESC) AS place
    FROM events."invoicing.invoice_issued"
)
WHERE place <= 2
