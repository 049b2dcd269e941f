SELECT project_id, entry_id, event_id, hours
FROM (
    SELECT
        *,
        row_number() OVER (PARTITION BY project_id ORDER BY hours DESC, event_id) AS place,
        dense_rank() OVER (PARTITION BY project_id ORDER BY hours DESC) AS height
    FROM events."hr.time_logged"
)
WHERE place <= 2 OR height = 1
