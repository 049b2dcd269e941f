SELECT
    invoice_id,
    current_date - due_date AS days,
    CASE WHEN due_date < current_date THEN 'overdue' WHEN due_date >= current_date THEN 'open' END AS state
FROM events."invoicing.invoice_issued"
