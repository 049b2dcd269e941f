SELECT i.event_id, b.event_id AS bill, e.event_id AS expense
FROM events."invoicing.invoice_issued" AS i
LEFT JOIN events."purchasing.bill_received" AS b ON b.project_id = i.project_id
LEFT JOIN events."governance.expense_recorded" AS e
    ON e.category IS NOT DISTINCT FROM i.project_id
