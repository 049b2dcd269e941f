SELECT event_id, project_id
FROM events."invoicing.invoice_issued"
WHERE project_id NOT IN (
    SELECT project_id FROM events."purchasing.bill_received" WHERE amount > 20
)
