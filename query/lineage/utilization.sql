-- A person's week: the time entries that stand, whose amounts are hours, and the statement of the
-- person that stands, whose amount is the weekly hours. A correction contributes what it changes.
-- main: utilization
-- column hours: billable + unbillable
-- column billable_hours: billable
-- column capacity (the weekly hours of the person): capacity => max(weekly_hours)
-- column utilization (billable ÷ capacity): billable + capacity
--     => TRY_CAST(
--         CAST({billable} AS DECIMAL(76, 4)) / nullif(CAST(max(weekly_hours) AS DECIMAL(76, 4)), 0)
--         AS DECIMAL(38, 4)
--     )
WITH stated AS (
    SELECT
        *,
        row_number() OVER (PARTITION BY entry_id ORDER BY occurred_at DESC, event_id DESC) AS age
    FROM events."hr.time_logged"
    WHERE entry_id IN (
        SELECT entry_id FROM events."hr.time_logged" WHERE employee_id = $employee_id
    )
),
-- 0001-01-01 was a Monday.
entries AS (
    SELECT *, CASE WHEN billable THEN 'billable' ELSE 'unbillable' END AS part
    FROM stated
    WHERE age = 1
        AND employee_id = $employee_id
        AND work_date - (work_date - DATE '0001-01-01') % 7 = CAST($week AS DATE)
),
corrections AS (
    SELECT
        *,
        row_number() OVER (PARTITION BY entry_id ORDER BY occurred_at DESC, event_id DESC) AS age
    FROM events."hr.time_corrected"
),
person AS (
    SELECT *
    FROM events."hr.employee_onboarded"
    WHERE employee_id = $employee_id
    ORDER BY occurred_at DESC, event_id DESC
    LIMIT 1
)
SELECT
    part,
    'hr.time_logged' AS type,
    event_id,
    occurred_at,
    subject,
    hours AS amount,
    entry_id,
    project_id,
    work_date,
    CAST(NULL AS DECIMAL(38, 4)) AS weekly_hours
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
    e.project_id,
    e.work_date,
    NULL AS weekly_hours
FROM corrections AS c
JOIN entries AS e ON e.entry_id = c.entry_id
WHERE c.age = 1
UNION ALL
SELECT
    'capacity' AS part,
    'hr.employee_onboarded' AS type,
    event_id,
    occurred_at,
    subject,
    weekly_hours AS amount,
    NULL AS entry_id,
    NULL AS project_id,
    NULL AS work_date,
    weekly_hours
FROM person
