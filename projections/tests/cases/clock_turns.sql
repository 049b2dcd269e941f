SELECT
    invoice_id,
    event_id,
    current_date - due_date > 30 AS late,
    30 >= due_date - current_date AS soon,
    current_date = due_date AS due,
    current_date - CAST(amount AS INT) % 40 > due_date AS shifted,
    due_date + 5 <> current_date AS other,
    due_date IS DISTINCT FROM current_date - INTERVAL '2 days' AS apart,
    current_date - 1 BETWEEN issue_date AND due_date AS running,
    current_date IN (issue_date, due_date, issue_date + 1, due_date + 1) AS special,
    NOT (CAST(current_date AS TIMESTAMP) >= occurred_at) AS later,
    occurred_at - INTERVAL '36 hours' < now() AS earlier,
    date_trunc('month', current_date) = date_trunc('month', due_date) AS this_month,
    CASE
        WHEN due_date < current_date AND issue_date + INTERVAL '1 month' > current_date THEN 'a'
        WHEN current_date - DATE '2025-01-01' <= amount THEN 'b'
    END AS state,
    CASE
        WHEN customer_id = 'a' THEN 1
        WHEN current_date - due_date <= 7 / (amount - amount + 1) THEN 2
    END AS divided
FROM events."invoicing.invoice_issued"
