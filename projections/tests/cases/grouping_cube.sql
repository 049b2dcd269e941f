SELECT project_id, billable, grouping(project_id, billable) AS level, sum(hours) AS hours, avg(hours) AS average
FROM events."hr.time_logged"
GROUP BY CUBE (project_id, billable)
