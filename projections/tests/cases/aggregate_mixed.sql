SELECT
    user_id,
    count(*) AS calls,
    max(duration_s) AS longest,
    percentile_cont(0.9) WITHIN GROUP (ORDER BY duration_s) AS ninety,
    sum(duration_s) AS seconds,
    count(DISTINCT disposition) AS dispositions,
    sum(DISTINCT duration_s) FILTER (WHERE disposition <> 'a') AS different,
    avg(duration_s) AS average,
    last_value(call_id ORDER BY occurred_at) AS last_call
FROM events."crm.call_logged"
GROUP BY user_id
