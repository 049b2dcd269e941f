SELECT call_id, event_id
FROM events."crm.call_logged"
WHERE EXISTS (SELECT 1 FROM events."tasks.task_completed")
    AND NOT EXISTS (SELECT 1 FROM events."tasks.completion_revoked" WHERE completion_id = 'a')
