-- Open opportunities by stage and closed ones by outcome (`won`, `lost`), in each currency: how
-- many, and what they are worth. The worth is the closing amount if one was given, else the latest.
-- Closed stays closed; an opportunity shows once its opening, which says its currency, is known.
-- key: stage, currency
WITH opportunities AS (
    SELECT opportunity_id, last_value(currency ORDER BY occurred_at, event_id) AS currency
    FROM events."crm.opportunity_opened"
    GROUP BY opportunity_id
),
-- At the same moment a change of stage follows the opening.
statements AS (
    SELECT opportunity_id, occurred_at, 0 AS step, event_id, stage, amount
    FROM events."crm.opportunity_opened"
    UNION ALL
    SELECT opportunity_id, occurred_at, 1 AS step, event_id, stage, amount
    FROM events."crm.opportunity_stage_changed"
),
stages AS (
    SELECT opportunity_id, last_value(stage ORDER BY occurred_at, step, event_id) AS stage
    FROM statements
    GROUP BY opportunity_id
),
amounts AS (
    SELECT opportunity_id, last_value(amount ORDER BY occurred_at, step, event_id) AS amount
    FROM statements
    WHERE amount IS NOT NULL
    GROUP BY opportunity_id
),
closings AS (
    SELECT
        opportunity_id,
        last_value(outcome ORDER BY occurred_at, event_id) AS outcome,
        last_value(amount ORDER BY occurred_at, event_id) AS amount
    FROM events."crm.opportunity_closed"
    GROUP BY opportunity_id
),
standing AS (
    SELECT
        coalesce(c.outcome, s.stage) AS stage,
        o.currency,
        coalesce(c.amount, a.amount, 0) AS amount
    FROM opportunities AS o
    JOIN stages AS s ON s.opportunity_id = o.opportunity_id
    LEFT JOIN amounts AS a ON a.opportunity_id = o.opportunity_id
    LEFT JOIN closings AS c ON c.opportunity_id = o.opportunity_id
)
SELECT
    stage,
    currency,
    count(*) AS opportunities,
    CAST(sum(amount) AS DECIMAL(38, 4)) AS amount
FROM standing
GROUP BY stage, currency
