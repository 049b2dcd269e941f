balances := SELECT i.invoice_id, i.customer_id, i.amount - coalesce(p.paid, 0) AS balance
FROM events."invoicing.invoice_issued" AS i
LEFT JOIN (
    SELECT invoice_id, sum(amount) AS paid
    FROM events."invoicing.payment_received"
    GROUP BY invoice_id
) AS p ON p.invoice_id = i.invoice_id;
customers := SELECT customer_id, sum(balance) AS balance, count(*) AS invoices
FROM balances
WHERE balance <> 0
GROUP BY customer_id;
SELECT b.invoice_id, b.balance, c.balance AS of_customer, c.invoices
FROM balances AS b
JOIN customers AS c ON c.customer_id = b.customer_id AND c.balance > 0
