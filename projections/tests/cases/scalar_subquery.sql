SELECT
    event_id,
    amount - (SELECT avg(amount) FROM events."invoicing.payment_received") AS above,
    (SELECT max(paid_on) FROM events."invoicing.payment_received") AS last_paid
FROM events."invoicing.invoice_issued"
WHERE amount >= (SELECT min(amount) FROM events."invoicing.payment_received" WHERE currency = 'EUR')
