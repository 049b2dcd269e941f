-- What each project has earned and cost so far, on an accrual basis, in each currency it has
-- figures in. Labour and material are summed exactly and rounded once, half away from zero, to
-- four places; profit is the difference of the figures shown; margin is rounded likewise.
-- What names no currency (stock, hours of an unknown employee, status) is in the project's, which
-- is null until the project is known. A figure beyond 34 digits is null.
-- key: project_id, currency
WITH projects AS (
    SELECT
        project_id,
        last_value(name ORDER BY occurred_at, event_id) AS name,
        last_value(currency ORDER BY occurred_at, event_id) AS currency
    FROM events."projects.project_created"
    GROUP BY project_id
),
bills AS (
    SELECT
        bill_id,
        last_value(project_id ORDER BY occurred_at, event_id) AS project_id,
        last_value(currency ORDER BY occurred_at, event_id) AS currency,
        last_value(amount ORDER BY occurred_at, event_id) AS amount
    FROM events."purchasing.bill_received"
    GROUP BY bill_id
),
-- One rate for each day on which one takes effect; on the first day a change beats the first rate.
rate_changes AS (
    SELECT
        employee_id,
        effective_date,
        last_value(hourly_cost ORDER BY occurred_at, event_id) AS hourly_cost
    FROM events."hr.employee_rate_changed"
    GROUP BY employee_id, effective_date
),
rates AS (
    SELECT employee_id, effective_date, hourly_cost
    FROM rate_changes
    UNION ALL
    SELECT e.employee_id, e.start_date AS effective_date, e.hourly_cost
    FROM standing_employees AS e
    WHERE e.hourly_cost IS NOT NULL
        AND NOT EXISTS (
            SELECT 1 FROM rate_changes AS r
            WHERE r.employee_id = e.employee_id AND r.effective_date = e.start_date
        )
),
rates_in_force AS (
    SELECT
        employee_id,
        hourly_cost,
        effective_date AS from_date,
        lead(effective_date) OVER (PARTITION BY employee_id ORDER BY effective_date) AS until_date
    FROM rates
),
-- Every amount that counts for a project, and a zero for everything else that is known of one.
invoiced AS (
    SELECT
        project_id,
        currency,
        CASE WHEN voided THEN 0 ELSE amount - credited END AS revenue
    FROM standing_invoices
    WHERE project_id IS NOT NULL
),
worked AS (
    SELECT
        t.project_id,
        coalesce(e.currency, p.currency) AS currency,
        coalesce(CAST(t.hours AS DECIMAL(76, 4)) * CAST(r.hourly_cost AS DECIMAL(76, 4)), 0) AS labour
    FROM time_entries AS t
    LEFT JOIN rates_in_force AS r
        ON r.employee_id = t.employee_id
        AND r.from_date <= t.work_date
        AND (r.until_date IS NULL OR t.work_date < r.until_date)
    LEFT JOIN standing_employees AS e ON e.employee_id = t.employee_id
    LEFT JOIN projects AS p ON p.project_id = t.project_id
    WHERE t.project_id IS NOT NULL
),
used AS (
    SELECT
        s.project_id,
        p.currency,
        CAST(s.quantity AS DECIMAL(76, 4)) * CAST(s.unit_cost AS DECIMAL(76, 4)) AS material
    FROM events."inventory.stock_issued" AS s
    LEFT JOIN projects AS p ON p.project_id = s.project_id
    WHERE s.project_id IS NOT NULL
),
spent AS (
    SELECT project_id, currency, amount AS expenses
    FROM events."governance.expense_recorded"
    UNION ALL
    SELECT project_id, currency, amount AS expenses
    FROM bills
    WHERE project_id IS NOT NULL
),
mentioned AS (
    SELECT project_id FROM events."projects.project_status_changed"
    UNION ALL
    SELECT project_id FROM events."projects.milestone_reached"
    UNION ALL
    SELECT project_id FROM events."governance.compliance_checked" WHERE project_id IS NOT NULL
),
figures AS (
    SELECT project_id, currency, revenue, 0 AS labour, 0 AS material, 0 AS expenses FROM invoiced
    UNION ALL
    SELECT project_id, currency, 0, labour, 0, 0 FROM worked
    UNION ALL
    SELECT project_id, currency, 0, 0, material, 0 FROM used
    UNION ALL
    SELECT project_id, currency, 0, 0, 0, expenses FROM spent
    UNION ALL
    SELECT project_id, currency, 0, 0, 0, 0 FROM projects
    UNION ALL
    SELECT project_id, currency, 0, 0, 0, 0 FROM events."governance.budget_set"
    UNION ALL
    SELECT m.project_id, p.currency, 0, 0, 0, 0
    FROM mentioned AS m
    LEFT JOIN projects AS p ON p.project_id = m.project_id
),
totals AS (
    SELECT
        project_id,
        currency,
        TRY_CAST(sum(revenue) AS DECIMAL(38, 4)) AS revenue,
        TRY_CAST(sum(labour) AS DECIMAL(38, 4)) AS labour_cost,
        TRY_CAST(sum(material) AS DECIMAL(38, 4)) AS material_cost,
        TRY_CAST(sum(expenses) AS DECIMAL(38, 4)) AS expenses
    FROM figures
    GROUP BY project_id, currency
),
profits AS (
    SELECT
        *,
        CAST(revenue AS DECIMAL(76, 4)) - labour_cost - material_cost - expenses AS profit
    FROM totals
)
SELECT
    t.project_id,
    t.currency,
    p.name,
    t.revenue,
    t.labour_cost,
    t.material_cost,
    t.expenses,
    TRY_CAST(t.profit AS DECIMAL(38, 4)) AS profit,
    TRY_CAST(t.profit / nullif(CAST(t.revenue AS DECIMAL(76, 4)), 0) AS DECIMAL(38, 4)) AS margin
FROM profits AS t
LEFT JOIN projects AS p ON p.project_id = t.project_id
