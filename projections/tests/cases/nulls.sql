SELECT
    project_id,
    task_id,
    project_id = task_id AS same,
    coalesce(project_id, task_id, 'none') AS either,
    count(*) AS entries,
    sum(CASE WHEN task_id IS NULL THEN hours END) AS hours
FROM events."hr.time_logged"
GROUP BY project_id, task_id
