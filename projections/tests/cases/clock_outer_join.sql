SELECT t.task_id, t.user_id, t.event_id, c.completion_id, c.event_id AS completion
FROM events."tasks.task_assigned" AS t
FULL JOIN events."tasks.task_completed" AS c
    ON c.task_id = t.task_id AND c.completed_on <= current_date AND t.start_date <= current_date
