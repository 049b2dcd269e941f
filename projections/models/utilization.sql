-- The hours each person worked in each ISO week (named by its Monday), as corrected, and the part
-- of the person's weekly hours that was billable: utilization = billable hours ÷ capacity, rounded
-- half away from zero. Both are null where the weekly hours are not known; a week without an entry
-- has no row.
-- key: employee_id, week
WITH weeks AS (
    SELECT
        employee_id,
        -- 0001-01-01 was a Monday.
        work_date - (work_date - DATE '0001-01-01') % 7 AS week,
        hours,
        CASE WHEN billable THEN hours ELSE 0 END AS billable_hours
    FROM time_entries
),
worked AS (
    SELECT
        employee_id,
        week,
        TRY_CAST(sum(hours) AS DECIMAL(38, 4)) AS hours,
        TRY_CAST(sum(billable_hours) AS DECIMAL(38, 4)) AS billable_hours
    FROM weeks
    GROUP BY employee_id, week
)
SELECT
    w.employee_id,
    w.week,
    w.hours,
    w.billable_hours,
    e.weekly_hours AS capacity,
    TRY_CAST(
        CAST(w.billable_hours AS DECIMAL(76, 4)) / nullif(CAST(e.weekly_hours AS DECIMAL(76, 4)), 0)
        AS DECIMAL(38, 4)
    ) AS utilization
FROM worked AS w
LEFT JOIN standing_employees AS e ON e.employee_id = w.employee_id
