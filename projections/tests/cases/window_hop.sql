SELECT window_start, user_id, count(*) AS calls, sum(duration_s) AS seconds
FROM (
    SELECT user_id, duration_s, unnest(hop(occurred_at, INTERVAL '1 hour', INTERVAL '3 hours')) AS window_start
    FROM events."crm.call_logged"
)
GROUP BY window_start, user_id
