SELECT t.task_id, t.event_id
FROM events."tasks.task_assigned" AS t
WHERE NOT EXISTS (
    SELECT 1 FROM events."tasks.task_completed" AS c
    WHERE c.task_id = t.task_id AND c.completed_on >= current_date - INTERVAL '7 days'
)
