-- A project's budget in a currency, the one in force, against its whole cost, whose events are those of
-- `project_profitability`.
-- reads: project_profitability
-- main: variance
-- column budget: budget
-- column spent: labour + material + expenses
-- column variance: budget - labour - material - expenses
-- column used (spent ÷ budget): labour + material + expenses + budget
--     => TRY_CAST(
--         (CAST({labour} AS DECIMAL(76, 4)) + {material} + {expenses})
--         / nullif(CAST({budget} AS DECIMAL(76, 4)), 0)
--         AS DECIMAL(38, 4)
--     )
-- column exceeded (spent > budget): labour + material + expenses + budget
--     => CAST({labour} AS DECIMAL(76, 4)) + {material} + {expenses}
--         > CAST({budget} AS DECIMAL(76, 4))
WITH in_force AS (
    SELECT *
    FROM events."governance.budget_set"
    WHERE project_id = $project_id AND currency = $currency AND effective_date <= current_date
    ORDER BY effective_date DESC, occurred_at DESC, event_id DESC
    LIMIT 1
)
SELECT
    'budget' AS part,
    'governance.budget_set' AS type,
    event_id,
    occurred_at,
    subject,
    CAST(amount AS DECIMAL(76, 8)) AS amount,
    project_id AS reference,
    effective_date AS day,
    NULL AS quantity,
    NULL AS rate
FROM in_force
UNION ALL
SELECT part, type, event_id, occurred_at, subject, amount, reference, day, quantity, rate
FROM project_profitability_lines
WHERE part IN ('labour', 'material', 'expenses')
