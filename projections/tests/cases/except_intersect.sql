invoiced := SELECT invoice_id FROM events."invoicing.invoice_issued"
EXCEPT
SELECT invoice_id FROM events."invoicing.invoice_voided";
SELECT invoice_id FROM invoiced
INTERSECT
SELECT invoice_id FROM events."invoicing.payment_received"
