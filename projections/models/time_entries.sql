-- Every time entry as it stands: the latest statement of it by (occurred_at, event_id), with the
-- hours of its latest correction if there is one. A correction waits for its entry.
-- internal
-- key: entry_id
WITH logged AS (
    SELECT
        entry_id,
        last_value(employee_id ORDER BY occurred_at, event_id) AS employee_id,
        last_value(project_id ORDER BY occurred_at, event_id) AS project_id,
        last_value(work_date ORDER BY occurred_at, event_id) AS work_date,
        last_value(hours ORDER BY occurred_at, event_id) AS hours,
        last_value(billable ORDER BY occurred_at, event_id) AS billable
    FROM events."hr.time_logged"
    GROUP BY entry_id
),
corrections AS (
    SELECT entry_id, last_value(hours ORDER BY occurred_at, event_id) AS hours
    FROM events."hr.time_corrected"
    GROUP BY entry_id
)
SELECT
    l.entry_id,
    l.employee_id,
    l.project_id,
    l.work_date,
    coalesce(c.hours, l.hours) AS hours,
    l.billable
FROM logged AS l
LEFT JOIN corrections AS c ON c.entry_id = l.entry_id
