-- The opportunities of a stage in a currency. Each is counted by the event that put it there: its
-- closing, or else its latest change of stage or its opening. Its worth comes from the closing if that
-- gives an amount, else from the latest event that does; one without any is worth 0 and has no line.
-- main: amount
-- column opportunities: opportunities
-- column amount: amount
WITH opened AS (
    SELECT
        *,
        row_number() OVER (PARTITION BY opportunity_id ORDER BY occurred_at DESC, event_id DESC) AS age
    FROM events."crm.opportunity_opened"
),
-- At the same moment a change of stage follows the opening.
statements AS (
    SELECT
        'crm.opportunity_opened' AS type, 0 AS step,
        event_id, occurred_at, subject, opportunity_id, stage, amount
    FROM events."crm.opportunity_opened"
    UNION ALL
    SELECT
        'crm.opportunity_stage_changed' AS type, 1 AS step,
        event_id, occurred_at, subject, opportunity_id, stage, amount
    FROM events."crm.opportunity_stage_changed"
),
staged AS (
    SELECT
        *,
        row_number() OVER (
            PARTITION BY opportunity_id ORDER BY occurred_at DESC, step DESC, event_id DESC
        ) AS age
    FROM statements
),
priced AS (
    SELECT
        *,
        row_number() OVER (
            PARTITION BY opportunity_id ORDER BY occurred_at DESC, step DESC, event_id DESC
        ) AS age
    FROM statements
    WHERE amount IS NOT NULL
),
closed AS (
    SELECT
        *,
        row_number() OVER (PARTITION BY opportunity_id ORDER BY occurred_at DESC, event_id DESC) AS age
    FROM events."crm.opportunity_closed"
),
standing AS (
    SELECT
        o.opportunity_id,
        o.owner,
        o.account,
        s.type AS staged_type,
        s.event_id AS staged_id,
        s.occurred_at AS staged_at,
        s.subject AS staged_subject,
        c.event_id AS closed_id,
        c.occurred_at AS closed_at,
        c.subject AS closed_subject,
        c.amount AS closed_amount
    FROM opened AS o
    JOIN staged AS s ON s.opportunity_id = o.opportunity_id AND s.age = 1
    LEFT JOIN closed AS c ON c.opportunity_id = o.opportunity_id AND c.age = 1
    WHERE o.age = 1
        AND o.currency = $currency
        AND coalesce(c.outcome, s.stage) = $stage
)
SELECT
    'opportunities' AS part,
    CASE WHEN closed_id IS NULL THEN staged_type ELSE 'crm.opportunity_closed' END AS type,
    coalesce(closed_id, staged_id) AS event_id,
    coalesce(closed_at, staged_at) AS occurred_at,
    CASE WHEN closed_id IS NULL THEN staged_subject ELSE closed_subject END AS subject,
    CAST(1 AS DECIMAL(38, 4)) AS amount,
    opportunity_id,
    owner,
    account
FROM standing
UNION ALL
SELECT
    'amount' AS part,
    'crm.opportunity_closed' AS type,
    closed_id AS event_id,
    closed_at AS occurred_at,
    closed_subject AS subject,
    closed_amount AS amount,
    opportunity_id,
    owner,
    account
FROM standing
WHERE closed_amount IS NOT NULL
UNION ALL
SELECT
    'amount' AS part,
    p.type,
    p.event_id,
    p.occurred_at,
    p.subject,
    p.amount,
    s.opportunity_id,
    s.owner,
    s.account
FROM standing AS s
JOIN priced AS p ON p.opportunity_id = s.opportunity_id AND p.age = 1
WHERE s.closed_amount IS NULL
