SELECT t.task_id, t.user_id, c.completion_id
FROM events."tasks.task_assigned" AS t
LEFT JOIN events."tasks.task_completed" AS c
    ON c.task_id = t.task_id
    AND c.user_id = t.user_id
    AND c.completed_on <= current_date
WHERE t.start_date <= current_date
