SELECT a.event_id AS one, b.event_id AS other, a.customer_id
FROM events."invoicing.invoice_issued" AS a
JOIN events."invoicing.invoice_issued" AS b
    ON b.customer_id = a.customer_id AND b.event_id > a.event_id
