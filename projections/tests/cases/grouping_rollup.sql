SELECT customer_id, currency, grouping(customer_id) AS all_customers, count(*) AS invoices, sum(amount) AS amount, max(due_date) AS last_due, max(customer_id) AS last_customer, count(currency) AS with_currency
FROM events."invoicing.invoice_issued"
GROUP BY ROLLUP (customer_id, currency)
