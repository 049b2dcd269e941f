-- Every time entry as it stands: the latest statement of it by (occurred_at, event_id), with the
-- hours of its latest correction if there is one. A correction waits for its entry.
-- internal
-- key: entry_id
WITH statements AS (
    SELECT
        entry_id, occurred_at, event_id, true AS logged,
        employee_id, project_id, work_date, hours, billable
    FROM events."hr.time_logged"
    UNION ALL
    SELECT
        entry_id, occurred_at, event_id, false AS logged,
        NULL, NULL, NULL, hours, NULL
    FROM events."hr.time_corrected"
),
entries AS (
    SELECT
        entry_id,
        last_value(logged ORDER BY logged, occurred_at, event_id) AS logged,
        last_value(employee_id ORDER BY logged, occurred_at, event_id) AS employee_id,
        last_value(project_id ORDER BY logged, occurred_at, event_id) AS project_id,
        last_value(work_date ORDER BY logged, occurred_at, event_id) AS work_date,
        first_value(hours ORDER BY logged, occurred_at DESC, event_id DESC) AS hours,
        last_value(billable ORDER BY logged, occurred_at, event_id) AS billable
    FROM statements
    GROUP BY entry_id
)
SELECT entry_id, employee_id, project_id, work_date, hours, billable
FROM entries
WHERE logged
