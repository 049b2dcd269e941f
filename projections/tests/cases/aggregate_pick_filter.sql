SELECT
    project_id,
    max(hours) FILTER (WHERE billable) AS longest,
    first_value(task_id ORDER BY work_date, event_id) FILTER (WHERE hours > 0) AS first_task,
    last_value(task_id IGNORE NULLS ORDER BY work_date, event_id) AS last_task,
    first_value(employee_id ORDER BY hours) AS least,
    first_value(entry_id ORDER BY hours) AS entry
FROM events."hr.time_logged"
GROUP BY project_id
