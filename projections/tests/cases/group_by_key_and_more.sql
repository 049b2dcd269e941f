WITH tasks AS (
    SELECT task_id, max(start_date) AS begun FROM events."tasks.task_assigned" GROUP BY task_id
),
joined AS (
    SELECT tasks.task_id, tasks.begun, c.completed_on
    FROM tasks
    JOIN events."tasks.task_completed" AS c ON c.task_id = tasks.task_id
),
once AS (SELECT task_id, begun, completed_on FROM joined GROUP BY task_id, begun, completed_on)
SELECT task_id, begun, date_part('day', completed_on) AS day, count(*) AS completions
FROM once
GROUP BY task_id, begun, date_part('day', completed_on)
