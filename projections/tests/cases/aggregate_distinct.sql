SELECT
    currency,
    count(DISTINCT customer_id) AS customers,
    sum(DISTINCT amount) AS amounts,
    count(*) AS invoices
FROM events."invoicing.invoice_issued"
GROUP BY currency
