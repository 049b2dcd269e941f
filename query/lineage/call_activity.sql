-- A person's calls of a day that ended in one way: each counts 1 and its seconds, as the statement that
-- stands has them.
-- main: calls
-- column calls: calls
-- column talk_seconds: seconds
WITH stated AS (
    SELECT
        *,
        row_number() OVER (PARTITION BY call_id ORDER BY occurred_at DESC, event_id DESC) AS age
    FROM events."crm.call_logged"
    WHERE call_id IN (SELECT call_id FROM events."crm.call_logged" WHERE user_id = $user_id)
),
standing AS (
    SELECT *
    FROM stated
    WHERE age = 1
        AND user_id = $user_id
        AND disposition = $disposition
        AND CAST(occurred_at AS DATE) = CAST($day AS DATE)
)
SELECT
    'calls' AS part,
    'crm.call_logged' AS type,
    event_id,
    occurred_at,
    subject,
    1 AS amount,
    call_id
FROM standing
UNION ALL
SELECT
    'seconds' AS part,
    'crm.call_logged' AS type,
    event_id,
    occurred_at,
    subject,
    duration_s AS amount,
    call_id
FROM standing
