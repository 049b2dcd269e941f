-- What a project has earned and cost in a currency. Revenue is its invoices that are not voided, less
-- the credits that apply to them. Labour is each time entry at the rate in force on its day: a
-- correction contributes what it changes. What names no currency (stock, hours of somebody unknown) is
-- in the project's. Labour and material are rounded once, after they are added up.
-- main: profit
-- column name: project => max(name)
-- column revenue: revenue
-- column labour_cost: labour
-- column material_cost: material
-- column expenses: expenses
-- column profit: revenue - labour - material - expenses
-- column margin (profit ÷ revenue): revenue - labour - material - expenses
--     => TRY_CAST(
--         (CAST({revenue} AS DECIMAL(76, 4)) + {labour} + {material} + {expenses})
--         / nullif(CAST({revenue} AS DECIMAL(76, 4)), 0)
--         AS DECIMAL(38, 4)
--     )
WITH project AS (
    SELECT *
    FROM events."projects.project_created"
    WHERE project_id = $project_id
    ORDER BY occurred_at DESC, event_id DESC
    LIMIT 1
),
stated_invoices AS (
    SELECT
        *,
        row_number() OVER (PARTITION BY invoice_id ORDER BY occurred_at DESC, event_id DESC) AS age
    FROM events."invoicing.invoice_issued"
    WHERE invoice_id IN (
        SELECT invoice_id FROM events."invoicing.invoice_issued" WHERE project_id = $project_id
    )
),
invoices AS (
    SELECT *
    FROM stated_invoices AS s
    WHERE age = 1
        AND project_id = $project_id
        AND (currency IS NOT DISTINCT FROM $currency)
        AND NOT EXISTS (
            SELECT 1 FROM events."invoicing.invoice_voided" AS v WHERE v.invoice_id = s.invoice_id
        )
),
stated_entries AS (
    SELECT
        *,
        row_number() OVER (PARTITION BY entry_id ORDER BY occurred_at DESC, event_id DESC) AS age
    FROM events."hr.time_logged"
    WHERE entry_id IN (
        SELECT entry_id FROM events."hr.time_logged" WHERE project_id = $project_id
    )
),
stated_employees AS (
    SELECT
        *,
        row_number() OVER (PARTITION BY employee_id ORDER BY occurred_at DESC, event_id DESC) AS age
    FROM events."hr.employee_onboarded"
),
employees AS (
    SELECT employee_id, currency FROM stated_employees WHERE age = 1
),
-- Statements of the same employment end alike: with the first end that is not before their start.
ended_employments AS (
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
employments AS (
    SELECT
        *,
        row_number() OVER (
            PARTITION BY employee_id, end_date ORDER BY occurred_at DESC, event_id DESC
        ) AS age
    FROM ended_employments
),
-- A change beats the first rate of the same day, and that beats having none.
rates AS (
    SELECT employee_id, effective_date, 2 AS strength, occurred_at, event_id, hourly_cost
    FROM events."hr.employee_rate_changed"
    UNION ALL
    SELECT employee_id, start_date, 1 AS strength, NULL, NULL, hourly_cost
    FROM employments
    WHERE age = 1 AND hourly_cost IS NOT NULL
),
-- Each time entry with every rate that has been in force up to its day, the one in force first.
rated_entries AS (
    SELECT
        t.event_id,
        t.occurred_at,
        t.subject,
        t.entry_id,
        t.employee_id,
        t.work_date,
        t.hours,
        r.hourly_cost AS rate,
        row_number() OVER (
            PARTITION BY t.entry_id
            ORDER BY
                r.effective_date DESC NULLS LAST,
                r.strength DESC NULLS LAST,
                r.occurred_at DESC NULLS LAST,
                r.event_id DESC NULLS LAST
        ) AS rank
    FROM stated_entries AS t
    LEFT JOIN rates AS r ON r.employee_id = t.employee_id AND r.effective_date <= t.work_date
    WHERE t.age = 1 AND t.project_id = $project_id
),
entries AS (
    SELECT t.*
    FROM rated_entries AS t
    LEFT JOIN employees AS e ON e.employee_id = t.employee_id
    WHERE t.rank = 1
        AND (coalesce(e.currency, (SELECT currency FROM project)) IS NOT DISTINCT FROM $currency)
),
stated_corrections AS (
    SELECT
        *,
        row_number() OVER (PARTITION BY entry_id ORDER BY occurred_at DESC, event_id DESC) AS age
    FROM events."hr.time_corrected"
),
stated_bills AS (
    SELECT
        *,
        row_number() OVER (PARTITION BY bill_id ORDER BY occurred_at DESC, event_id DESC) AS age
    FROM events."purchasing.bill_received"
    WHERE bill_id IN (
        SELECT bill_id FROM events."purchasing.bill_received" WHERE project_id = $project_id
    )
)
SELECT
    'project' AS part,
    'projects.project_created' AS type,
    event_id,
    occurred_at,
    subject,
    CAST(NULL AS DECIMAL(76, 8)) AS amount,
    project_id AS reference,
    start_date AS day,
    CAST(NULL AS DECIMAL(38, 4)) AS quantity,
    CAST(NULL AS DECIMAL(38, 4)) AS rate,
    name
FROM project
UNION ALL
SELECT
    'revenue' AS part,
    'invoicing.invoice_issued' AS type,
    event_id,
    occurred_at,
    subject,
    CAST(amount AS DECIMAL(76, 8)) AS amount,
    invoice_id AS reference,
    issue_date AS day,
    NULL AS quantity,
    NULL AS rate,
    NULL AS name
FROM invoices
UNION ALL
SELECT
    'revenue' AS part,
    'invoicing.credit_issued' AS type,
    c.event_id,
    c.occurred_at,
    c.subject,
    CAST(-c.amount AS DECIMAL(76, 8)) AS amount,
    c.credit_id AS reference,
    c.issued_on AS day,
    NULL AS quantity,
    NULL AS rate,
    NULL AS name
FROM events."invoicing.credit_issued" AS c
JOIN invoices AS i ON i.invoice_id = c.invoice_id AND i.currency = c.currency
UNION ALL
SELECT
    'labour' AS part,
    'hr.time_logged' AS type,
    event_id,
    occurred_at,
    subject,
    coalesce(CAST(hours AS DECIMAL(76, 4)) * CAST(rate AS DECIMAL(76, 4)), 0) AS amount,
    entry_id AS reference,
    work_date AS day,
    hours AS quantity,
    rate,
    NULL AS name
FROM entries
UNION ALL
SELECT
    'labour' AS part,
    'hr.time_corrected' AS type,
    c.event_id,
    c.occurred_at,
    c.subject,
    coalesce(
        CAST(c.hours AS DECIMAL(76, 4)) * CAST(t.rate AS DECIMAL(76, 4))
        - CAST(t.hours AS DECIMAL(76, 4)) * CAST(t.rate AS DECIMAL(76, 4)),
        0
    ) AS amount,
    c.entry_id AS reference,
    t.work_date AS day,
    c.hours - t.hours AS quantity,
    t.rate,
    NULL AS name
FROM stated_corrections AS c
JOIN entries AS t ON t.entry_id = c.entry_id
WHERE c.age = 1
UNION ALL
SELECT
    'material' AS part,
    'inventory.stock_issued' AS type,
    event_id,
    occurred_at,
    subject,
    CAST(quantity AS DECIMAL(76, 4)) * CAST(unit_cost AS DECIMAL(76, 4)) AS amount,
    movement_id AS reference,
    NULL AS day,
    quantity,
    unit_cost AS rate,
    NULL AS name
FROM events."inventory.stock_issued"
WHERE project_id = $project_id
    AND ((SELECT currency FROM project) IS NOT DISTINCT FROM $currency)
UNION ALL
SELECT
    'expenses' AS part,
    'governance.expense_recorded' AS type,
    event_id,
    occurred_at,
    subject,
    CAST(amount AS DECIMAL(76, 8)) AS amount,
    expense_id AS reference,
    spent_on AS day,
    NULL AS quantity,
    NULL AS rate,
    NULL AS name
FROM events."governance.expense_recorded"
WHERE project_id = $project_id AND (currency IS NOT DISTINCT FROM $currency)
UNION ALL
SELECT
    'expenses' AS part,
    'purchasing.bill_received' AS type,
    event_id,
    occurred_at,
    subject,
    CAST(amount AS DECIMAL(76, 8)) AS amount,
    bill_id AS reference,
    issue_date AS day,
    NULL AS quantity,
    NULL AS rate,
    NULL AS name
FROM stated_bills
WHERE age = 1 AND project_id = $project_id AND (currency IS NOT DISTINCT FROM $currency)
