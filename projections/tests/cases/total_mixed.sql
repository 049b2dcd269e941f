SELECT
    count(*) AS calls,
    max(duration_s) AS longest,
    first_value(call_id ORDER BY occurred_at, event_id) AS first_call,
    median(duration_s) AS middle,
    count(DISTINCT user_id) AS users,
    sum(duration_s) FILTER (WHERE disposition = 'a') AS of_a
FROM events."crm.call_logged"
HAVING count(*) <> 3
