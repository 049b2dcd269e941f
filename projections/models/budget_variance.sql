-- Each project's budget in each currency against what the project has cost in it. The budget is
-- the one set with the latest effective date that has come; spent is labour, material and expenses
-- of `project_profitability`; used = spent ÷ budget, null when the budget is 0, rounded half away
-- from zero. A figure beyond 34 digits is null, and so is what follows from it.
-- key: project_id, currency
WITH budgets AS (
    SELECT
        project_id,
        currency,
        last_value(amount ORDER BY effective_date, occurred_at, event_id) AS budget
    FROM events."governance.budget_set"
    WHERE effective_date <= current_date
    GROUP BY project_id, currency
),
costs AS (
    SELECT
        project_id,
        currency,
        CAST(labour_cost AS DECIMAL(76, 4)) + material_cost + expenses AS spent
    FROM project_profitability
),
compared AS (
    SELECT b.project_id, b.currency, CAST(b.budget AS DECIMAL(76, 4)) AS budget, c.spent
    FROM budgets AS b
    JOIN costs AS c ON c.project_id = b.project_id AND c.currency = b.currency
)
SELECT
    project_id,
    currency,
    CAST(budget AS DECIMAL(38, 4)) AS budget,
    TRY_CAST(spent AS DECIMAL(38, 4)) AS spent,
    TRY_CAST(budget - spent AS DECIMAL(38, 4)) AS variance,
    TRY_CAST(spent / nullif(budget, 0) AS DECIMAL(38, 4)) AS used,
    spent > budget AS exceeded
FROM compared
