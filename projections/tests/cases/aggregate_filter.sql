SELECT
    project_id,
    sum(hours) FILTER (WHERE billable) AS billable,
    count(*) FILTER (WHERE task_id IS NULL) AS without_task,
    max(hours) FILTER (WHERE NOT billable) AS longest_unpaid,
    last_value(hours ORDER BY occurred_at, event_id) FILTER (WHERE billable) AS last_billable
FROM events."hr.time_logged"
GROUP BY project_id
