SELECT
    user_id,
    median(duration_s) AS middle,
    stddev(duration_s) IS NULL AS too_few,
    bool_or(duration_s > 0) AS any_talk,
    string_agg(disposition, ',' ORDER BY occurred_at, event_id) AS dispositions
FROM events."crm.call_logged"
GROUP BY user_id
