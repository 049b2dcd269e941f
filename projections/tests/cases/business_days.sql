SELECT
    event_id,
    business_days(issue_date, due_date) AS days,
    business_days(issue_date, due_date, make_array(DATE '2025-03-03', DATE '2025-03-08')) AS working_days,
    fiscal_year(due_date, 4) AS year,
    fiscal_quarter(due_date, 4) AS quarter,
    fiscal_period(due_date, 4) AS period
FROM events."invoicing.invoice_issued"
