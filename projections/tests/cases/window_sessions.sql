WITH gaps AS (
    SELECT
        user_id,
        occurred_at,
        event_id,
        occurred_at - lag(occurred_at) OVER (PARTITION BY user_id ORDER BY occurred_at, event_id)
            > INTERVAL '90 minutes' AS begins
    FROM events."crm.call_logged"
),
numbered AS (
    SELECT
        *,
        sum(CASE WHEN begins THEN 1 ELSE 0 END)
            OVER (PARTITION BY user_id ORDER BY occurred_at, event_id ROWS UNBOUNDED PRECEDING) AS session
    FROM gaps
)
SELECT user_id, session, min(occurred_at) AS began, max(occurred_at) AS ended, count(*) AS calls
FROM numbered
GROUP BY user_id, session
