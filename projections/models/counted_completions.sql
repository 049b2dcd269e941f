-- Every completion that counts: of an assigned task, on a day on which it is due, and not revoked.
-- Periods (days, weekdays or ISO weeks, by the task's cadence) are numbered so that consecutive due
-- periods have consecutive numbers.
-- internal
WITH tasks AS (
    SELECT
        task_id,
        user_id,
        last_value(cadence ORDER BY occurred_at, event_id) AS cadence,
        last_value(start_date ORDER BY occurred_at, event_id) AS start_date,
        last_value(end_date ORDER BY occurred_at, event_id) AS end_date
    FROM events."tasks.task_assigned"
    GROUP BY task_id, user_id
),
-- Days are counted from 0001-01-01, a Monday: day / 7 is the ISO week, day % 7 the weekday from 0.
assigned AS (
    SELECT
        task_id,
        user_id,
        cadence,
        CASE cadence
            WHEN 'weekly' THEN (start_date - DATE '0001-01-01') / 7 * 7
            ELSE start_date - DATE '0001-01-01'
        END AS first_day,
        CASE cadence
            WHEN 'weekly' THEN (end_date - DATE '0001-01-01') / 7 * 7 + 6
            ELSE end_date - DATE '0001-01-01'
        END AS last_day
    FROM tasks
),
statements AS (
    SELECT
        completion_id, occurred_at, event_id, true AS completed,
        task_id, user_id, completed_on
    FROM events."tasks.task_completed"
    UNION ALL
    SELECT
        completion_id, occurred_at, event_id, false AS completed,
        NULL, NULL, NULL
    FROM events."tasks.completion_revoked"
),
completions AS (
    SELECT
        completion_id,
        last_value(completed ORDER BY completed, occurred_at, event_id) AS completed,
        last_value(task_id ORDER BY completed, occurred_at, event_id) AS task_id,
        last_value(user_id ORDER BY completed, occurred_at, event_id) AS user_id,
        last_value(completed_on ORDER BY completed, occurred_at, event_id) AS completed_on,
        NOT min(completed) AS revoked
    FROM statements
    GROUP BY completion_id
),
standing AS (
    SELECT task_id, user_id, completed_on, completed_on - DATE '0001-01-01' AS day
    FROM completions
    WHERE completed AND NOT revoked
)
SELECT
    s.task_id,
    s.user_id,
    a.cadence,
    s.completed_on,
    CASE a.cadence
        WHEN 'daily' THEN s.day
        WHEN 'weekdays' THEN s.day / 7 * 5 + s.day % 7
        WHEN 'weekly' THEN s.day / 7
    END AS period
FROM assigned AS a
JOIN standing AS s ON s.task_id = a.task_id AND s.user_id = a.user_id
WHERE s.day >= a.first_day
    AND (a.last_day IS NULL OR s.day <= a.last_day)
    AND (a.cadence IN ('daily', 'weekly') OR (a.cadence = 'weekdays' AND s.day % 7 < 5))
