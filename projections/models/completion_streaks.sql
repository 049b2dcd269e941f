-- For each assigned task of each person: how many due periods in a row (days, weekdays or ISO
-- weeks, by the task's cadence) have been completed, now and at best, and how many in all.
-- A period is due from the task's start date to its end date; a weekly task's first and last weeks
-- are due as a whole. Revoked completions, and weekend ones under `weekdays`, count for nothing.
-- key: task_id, user_id
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
),
-- Numbered so that consecutive due periods have consecutive numbers.
counted AS (
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
),
completed_periods AS (
    SELECT DISTINCT task_id, user_id, cadence, period
    FROM counted
),
-- Within a run the period and its rank grow together, so their difference names the run.
ranked AS (
    SELECT
        task_id,
        user_id,
        cadence,
        period,
        period - CAST(row_number() OVER (PARTITION BY task_id, user_id ORDER BY period) AS BIGINT) AS run
    FROM completed_periods
),
lengths AS (
    SELECT task_id, user_id, cadence, run, count(*) AS periods, sum(period) AS total
    FROM ranked
    GROUP BY task_id, user_id, cadence, run
),
-- Of numbers in a row, the first and the last lie equally far from the middle, total / periods.
runs AS (
    SELECT
        task_id,
        user_id,
        cadence,
        periods,
        (2 * total / periods - periods + 1) / 2 AS first_period,
        (2 * total / periods + periods - 1) / 2 AS last_period
    FROM lengths
),
-- At most one run reaches the current period or the one before it: the days on which it does.
-- At a weekend the current weekday is the coming Monday, so a weekday is current from the day after
-- the weekday before it.
current_runs AS (
    SELECT task_id, user_id, periods
    FROM runs
    WHERE current_date - DATE '0001-01-01' BETWEEN
        CASE cadence
            WHEN 'daily' THEN first_period
            WHEN 'weekdays' THEN (first_period - 1) / 5 * 7 + (first_period - 1) % 5 + 1
            WHEN 'weekly' THEN first_period * 7
        END
        AND CASE cadence
            WHEN 'daily' THEN last_period + 1
            WHEN 'weekdays' THEN (last_period + 1) / 5 * 7 + (last_period + 1) % 5
            WHEN 'weekly' THEN (last_period + 1) * 7 + 6
        END
),
longest_runs AS (
    SELECT task_id, user_id, max(periods) AS periods
    FROM runs
    GROUP BY task_id, user_id
),
totals AS (
    SELECT task_id, user_id, count(*) AS completions
    FROM completed_periods
    GROUP BY task_id, user_id
),
last_days AS (
    SELECT task_id, user_id, max(completed_on) AS last_completed_on
    FROM counted
    GROUP BY task_id, user_id
)
SELECT
    a.task_id,
    a.user_id,
    coalesce(c.periods, 0) AS current_streak,
    coalesce(l.periods, 0) AS longest_streak,
    d.last_completed_on,
    coalesce(t.completions, 0) AS completions
FROM assigned AS a
LEFT JOIN totals AS t ON t.task_id = a.task_id AND t.user_id = a.user_id
LEFT JOIN last_days AS d ON d.task_id = a.task_id AND d.user_id = a.user_id
LEFT JOIN longest_runs AS l ON l.task_id = a.task_id AND l.user_id = a.user_id
LEFT JOIN current_runs AS c ON c.task_id = a.task_id AND c.user_id = a.user_id
