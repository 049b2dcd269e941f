SELECT
    project_id,
    array_agg(hours ORDER BY work_date) AS by_day,
    array_agg(DISTINCT task_id ORDER BY task_id) AS tasks,
    string_agg(employee_id, '+' ORDER BY hours DESC) FILTER (WHERE billable) AS people,
    array_length(array_agg(entry_id ORDER BY entry_id)) AS entries
FROM events."hr.time_logged"
GROUP BY project_id
