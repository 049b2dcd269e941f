SELECT project_id, entry_id, hours, height
FROM (
    SELECT project_id, entry_id, hours, rank() OVER (PARTITION BY project_id ORDER BY hours DESC) AS height
    FROM events."hr.time_logged"
)
WHERE height < 3 AND hours > 0
UNION ALL
SELECT project_id, entry_id, hours, height + 10
FROM (
    SELECT *, dense_rank() OVER (PARTITION BY billable ORDER BY work_date) AS height
    FROM events."hr.time_logged"
)
WHERE height = 2
