common := SELECT invoice_id, currency FROM events."invoicing.payment_received"
INTERSECT ALL
SELECT invoice_id, currency FROM events."invoicing.credit_issued";
SELECT invoice_id, currency FROM events."invoicing.payment_received"
EXCEPT ALL
SELECT invoice_id, currency FROM common
