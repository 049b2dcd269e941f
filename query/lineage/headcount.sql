-- The people of a department. Who is active or has joined is counted by the onboarding that stands, who
-- has left by the leaving; the move that brought somebody here is listed beside it with 0.
-- main: active
-- column active: active
-- column joined_30d: joined
-- column left_30d: left
WITH onboarded AS (
    SELECT
        *,
        row_number() OVER (PARTITION BY employee_id ORDER BY occurred_at DESC, event_id DESC) AS age
    FROM events."hr.employee_onboarded"
),
moved AS (
    SELECT
        *,
        row_number() OVER (
            PARTITION BY employee_id ORDER BY effective_date DESC, occurred_at DESC, event_id DESC
        ) AS age
    FROM events."hr.employee_moved"
    WHERE effective_date <= current_date
),
left_for_good AS (
    SELECT
        *,
        row_number() OVER (PARTITION BY employee_id ORDER BY occurred_at DESC, event_id DESC) AS age
    FROM events."hr.employee_left"
),
-- What took effect before the start date belongs to an earlier employment.
staff AS (
    SELECT
        e.employee_id,
        e.start_date,
        e.event_id,
        e.occurred_at,
        e.subject,
        m.effective_date AS moved_on,
        m.event_id AS move_id,
        m.occurred_at AS moved_at,
        m.subject AS move_subject,
        l.end_date,
        l.event_id AS leaving_id,
        l.occurred_at AS left_at,
        l.subject AS leaving_subject,
        coalesce(
            e.start_date <= current_date AND (l.end_date IS NULL OR l.end_date > current_date), false
        ) AS is_active,
        coalesce(current_date - e.start_date BETWEEN 0 AND 29, false) AS has_joined,
        coalesce(current_date - l.end_date BETWEEN 0 AND 29, false) AS has_left
    FROM onboarded AS e
    LEFT JOIN moved AS m
        ON m.employee_id = e.employee_id AND m.effective_date >= e.start_date AND m.age = 1
    LEFT JOIN left_for_good AS l
        ON l.employee_id = e.employee_id AND l.end_date >= e.start_date AND l.age = 1
    WHERE e.age = 1
        AND CASE WHEN m.employee_id IS NULL THEN e.department ELSE m.department END = $department
),
counted AS (
    SELECT 'active' AS part, * FROM staff WHERE is_active
    UNION ALL
    SELECT 'joined' AS part, * FROM staff WHERE has_joined
)
SELECT
    part,
    'hr.employee_onboarded' AS type,
    event_id,
    occurred_at,
    subject,
    1 AS amount,
    employee_id,
    start_date,
    moved_on,
    end_date
FROM counted
UNION ALL
SELECT
    part,
    'hr.employee_moved' AS type,
    move_id AS event_id,
    moved_at AS occurred_at,
    move_subject AS subject,
    0 AS amount,
    employee_id,
    start_date,
    moved_on,
    end_date
FROM counted
WHERE move_id IS NOT NULL
UNION ALL
SELECT
    'left' AS part,
    'hr.employee_left' AS type,
    leaving_id AS event_id,
    left_at AS occurred_at,
    leaving_subject AS subject,
    1 AS amount,
    employee_id,
    start_date,
    moved_on,
    end_date
FROM staff
WHERE has_left
