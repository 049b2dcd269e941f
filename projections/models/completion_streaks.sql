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
completions AS (
    SELECT
        completion_id,
        last_value(task_id ORDER BY occurred_at, event_id) AS task_id,
        last_value(user_id ORDER BY occurred_at, event_id) AS user_id,
        last_value(completed_on ORDER BY occurred_at, event_id) AS completed_on
    FROM events."tasks.task_completed"
    GROUP BY completion_id
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
standing AS (
    SELECT c.task_id, c.user_id, c.completed_on, c.completed_on - DATE '0001-01-01' AS day
    FROM completions AS c
    WHERE NOT EXISTS (
        SELECT 1 FROM events."tasks.completion_revoked" AS r
        WHERE r.completion_id = c.completion_id
    )
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
    SELECT task_id, user_id, cadence, period, max(completed_on) AS completed_on
    FROM counted
    GROUP BY task_id, user_id, cadence, period
),
-- Within a run the period and its rank grow together, so their difference names the run.
ranked AS (
    SELECT
        task_id,
        user_id,
        cadence,
        period,
        completed_on,
        period - CAST(row_number() OVER (PARTITION BY task_id, user_id ORDER BY period) AS BIGINT) AS run
    FROM completed_periods
),
runs AS (
    SELECT
        task_id,
        user_id,
        cadence,
        min(period) AS first_period,
        max(period) AS last_period,
        count(*) AS periods,
        max(completed_on) AS completed_on
    FROM ranked
    GROUP BY task_id, user_id, cadence, run
),
-- At a weekend the current weekday is the coming Monday.
dated_runs AS (
    SELECT
        *,
        CASE cadence
            WHEN 'daily' THEN current_date - DATE '0001-01-01'
            WHEN 'weekdays' THEN
                (current_date - DATE '0001-01-01') / 7 * 5
                + least((current_date - DATE '0001-01-01') % 7, 5)
            WHEN 'weekly' THEN (current_date - DATE '0001-01-01') / 7
        END AS current_period
    FROM runs
),
-- At most one run reaches the current period or the one before it, so the sum is its length.
streaks AS (
    SELECT
        task_id,
        user_id,
        sum(CASE
            WHEN first_period <= current_period AND last_period >= current_period - 1 THEN periods
            ELSE 0
        END) AS current_streak,
        max(periods) AS longest_streak,
        max(completed_on) AS last_completed_on,
        sum(periods) AS completions
    FROM dated_runs
    GROUP BY task_id, user_id
)
SELECT
    a.task_id,
    a.user_id,
    coalesce(s.current_streak, 0) AS current_streak,
    coalesce(s.longest_streak, 0) AS longest_streak,
    s.last_completed_on,
    coalesce(s.completions, 0) AS completions
FROM assigned AS a
LEFT JOIN streaks AS s ON s.task_id = a.task_id AND s.user_id = a.user_id
