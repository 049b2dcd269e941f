-- People in each department today: those whose start date has come and whose end date has not,
-- and how many joined and left within the last 30 days, today included.
-- A person counts in the department that is theirs today; a move counts from its effective date.
-- key: department
WITH moves AS (
    SELECT
        employee_id,
        last_value(department ORDER BY effective_date, occurred_at, event_id) AS department,
        last_value(effective_date ORDER BY effective_date, occurred_at, event_id) AS effective_date
    FROM events."hr.employee_moved"
    WHERE effective_date <= current_date
    GROUP BY employee_id
),
leavers AS (
    SELECT employee_id, last_value(end_date ORDER BY occurred_at, event_id) AS end_date
    FROM events."hr.employee_left"
    GROUP BY employee_id
),
-- What took effect before the start date belongs to an earlier employment.
staff AS (
    SELECT
        CASE WHEN m.employee_id IS NULL THEN e.department ELSE m.department END AS department,
        e.start_date,
        l.end_date
    FROM standing_employees AS e
    LEFT JOIN moves AS m ON m.employee_id = e.employee_id AND m.effective_date >= e.start_date
    LEFT JOIN leavers AS l ON l.employee_id = e.employee_id AND l.end_date >= e.start_date
),
counts AS (
    SELECT
        department,
        sum(CASE
            WHEN start_date <= current_date AND (end_date IS NULL OR end_date > current_date) THEN 1
            ELSE 0
        END) AS active,
        sum(CASE WHEN current_date - start_date BETWEEN 0 AND 29 THEN 1 ELSE 0 END) AS joined_30d,
        sum(CASE WHEN current_date - end_date BETWEEN 0 AND 29 THEN 1 ELSE 0 END) AS left_30d
    FROM staff
    GROUP BY department
)
SELECT department, active, joined_30d, left_30d
FROM counts
WHERE active > 0 OR joined_30d > 0 OR left_30d > 0
