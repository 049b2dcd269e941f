SELECT count(*) AS invoices, count(project_id) AS with_project, sum(amount) AS amount, avg(amount) AS average
FROM events."invoicing.invoice_issued"
