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
-- What was said of each employment. Statements of the same one end alike: with the first end that is
-- not before their start.
employments AS (
    SELECT
        o.employee_id,
        o.start_date,
        o.hourly_cost,
        o.occurred_at,
        o.event_id,
        min(l.end_date) AS end_date
    FROM events."hr.employee_onboarded" AS o
    LEFT JOIN events."hr.employee_left" AS l
        ON l.employee_id = o.employee_id AND l.end_date >= o.start_date
    GROUP BY o.employee_id, o.start_date, o.hourly_cost, o.occurred_at, o.event_id
),
first_rates AS (
    SELECT
        employee_id,
        last_value(start_date ORDER BY occurred_at, event_id) AS start_date,
        last_value(hourly_cost ORDER BY occurred_at, event_id) AS hourly_cost
    FROM employments
    GROUP BY employee_id, end_date
),
-- One rate for each day on which one takes effect: a change beats the first rate of an employment,
-- and that beats having none, as everybody has from the first day there is.
rate_statements AS (
    SELECT employee_id, effective_date, 2 AS strength, occurred_at, event_id, hourly_cost
    FROM events."hr.employee_rate_changed"
    UNION ALL
    SELECT employee_id, start_date, 1 AS strength, NULL, NULL, hourly_cost
    FROM first_rates
    WHERE hourly_cost IS NOT NULL
    UNION ALL
    SELECT employee_id, DATE '0001-01-01', 0 AS strength, NULL, NULL, NULL
    FROM standing_employees
),
rates AS (
    SELECT
        employee_id,
        effective_date,
        last_value(hourly_cost ORDER BY strength, occurred_at, event_id) AS hourly_cost
    FROM rate_statements
    GROUP BY employee_id, effective_date
),
rate_periods AS (
    SELECT
        employee_id,
        hourly_cost,
        effective_date AS from_date,
        lead(effective_date) OVER (PARTITION BY employee_id ORDER BY effective_date) AS until_date
    FROM rates
),
rates_in_force AS (
    SELECT r.employee_id, r.hourly_cost, r.from_date, r.until_date, e.currency
    FROM rate_periods AS r
    LEFT JOIN standing_employees AS e ON e.employee_id = r.employee_id
),
-- Every amount that counts for a project, and one of null for all else that is known of it. Without
-- a currency: it is the project's.
ledger AS (
    SELECT
        project_id,
        currency,
        'revenue' AS account,
        CASE WHEN NOT voided THEN amount - credited END AS amount
    FROM invoice_balances
    WHERE project_id IS NOT NULL
    UNION ALL
    SELECT
        t.project_id,
        r.currency,
        'labour' AS account,
        CAST(t.hours AS DECIMAL(76, 4)) * CAST(r.hourly_cost AS DECIMAL(76, 4)) AS amount
    FROM time_entries AS t
    LEFT JOIN rates_in_force AS r
        ON r.employee_id = t.employee_id
        AND r.from_date <= t.work_date
        AND (r.until_date IS NULL OR t.work_date < r.until_date)
    WHERE t.project_id IS NOT NULL
    UNION ALL
    SELECT
        project_id,
        NULL AS currency,
        'material' AS account,
        CAST(quantity AS DECIMAL(76, 4)) * CAST(unit_cost AS DECIMAL(76, 4)) AS amount
    FROM events."inventory.stock_issued"
    WHERE project_id IS NOT NULL
    UNION ALL
    SELECT project_id, currency, 'expenses' AS account, amount
    FROM events."governance.expense_recorded"
    UNION ALL
    SELECT project_id, currency, 'expenses' AS account, amount
    FROM bills
    WHERE project_id IS NOT NULL
    UNION ALL
    SELECT project_id, currency, 'budget' AS account, NULL AS amount
    FROM events."governance.budget_set"
    UNION ALL
    SELECT project_id, NULL AS currency, 'project' AS account, NULL AS amount
    FROM projects
    UNION ALL
    SELECT project_id, NULL AS currency, 'status' AS account, NULL AS amount
    FROM events."projects.project_status_changed"
    UNION ALL
    SELECT project_id, NULL AS currency, 'milestone' AS account, NULL AS amount
    FROM events."projects.milestone_reached"
    UNION ALL
    SELECT project_id, NULL AS currency, 'check' AS account, NULL AS amount
    FROM events."governance.compliance_checked"
    WHERE project_id IS NOT NULL
),
accounts AS (
    SELECT
        project_id,
        currency,
        coalesce(sum(amount) FILTER (WHERE account = 'revenue'), 0) AS revenue,
        coalesce(sum(amount) FILTER (WHERE account = 'labour'), 0) AS labour,
        coalesce(sum(amount) FILTER (WHERE account = 'material'), 0) AS material,
        coalesce(sum(amount) FILTER (WHERE account = 'expenses'), 0) AS expenses
    FROM ledger
    GROUP BY project_id, currency
),
own_currency AS (
    SELECT
        a.project_id,
        coalesce(a.currency, p.currency) AS currency,
        p.name,
        a.revenue,
        a.labour,
        a.material,
        a.expenses
    FROM accounts AS a
    LEFT JOIN projects AS p ON p.project_id = a.project_id
),
totals AS (
    SELECT
        project_id,
        currency,
        name,
        TRY_CAST(sum(revenue) AS DECIMAL(38, 4)) AS revenue,
        TRY_CAST(sum(labour) AS DECIMAL(38, 4)) AS labour_cost,
        TRY_CAST(sum(material) AS DECIMAL(38, 4)) AS material_cost,
        TRY_CAST(sum(expenses) AS DECIMAL(38, 4)) AS expenses
    FROM own_currency
    GROUP BY project_id, currency, name
),
profits AS (
    SELECT
        *,
        CAST(revenue AS DECIMAL(76, 4)) - labour_cost - material_cost - expenses AS profit
    FROM totals
)
SELECT
    project_id,
    currency,
    name,
    revenue,
    labour_cost,
    material_cost,
    expenses,
    TRY_CAST(profit AS DECIMAL(38, 4)) AS profit,
    TRY_CAST(profit / nullif(CAST(revenue AS DECIMAL(76, 4)), 0) AS DECIMAL(38, 4)) AS margin
FROM profits
