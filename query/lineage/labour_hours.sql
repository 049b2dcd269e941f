-- The time entries of a project that stand, whose amounts are hours. A correction contributes what it
-- changes.
-- main: hours
-- column hours: billable + unbillable
-- column billable_hours: billable
WITH stated AS (
    SELECT
        *,
        row_number() OVER (PARTITION BY entry_id ORDER BY occurred_at DESC, event_id DESC) AS age
    FROM events."hr.time_logged"
    WHERE entry_id IN (
        SELECT entry_id FROM events."hr.time_logged" WHERE project_id = $project_id
    )
),
entries AS (
    SELECT *, CASE WHEN billable THEN 'billable' ELSE 'unbillable' END AS part
    FROM stated
    WHERE age = 1 AND project_id = $project_id
),
corrections AS (
    SELECT
        *,
        row_number() OVER (PARTITION BY entry_id ORDER BY occurred_at DESC, event_id DESC) AS age
    FROM events."hr.time_corrected"
)
SELECT
    part,
    'hr.time_logged' AS type,
    event_id,
    occurred_at,
    subject,
    hours AS amount,
    entry_id,
    employee_id,
    work_date
FROM entries
UNION ALL
SELECT
    e.part,
    'hr.time_corrected' AS type,
    c.event_id,
    c.occurred_at,
    c.subject,
    c.hours - e.hours AS amount,
    e.entry_id,
    e.employee_id,
    e.work_date
FROM corrections AS c
JOIN entries AS e ON e.entry_id = c.entry_id
WHERE c.age = 1
