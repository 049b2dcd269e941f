days := SELECT user_id, array_agg(completed_on ORDER BY completed_on) AS days
FROM events."tasks.task_completed"
GROUP BY user_id;
SELECT user_id, unnest(days) AS day, unnest(make_array('p', user_id, NULL)) AS mark
FROM days
