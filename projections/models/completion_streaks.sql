-- For each assigned task of each person: how many due periods in a row (days, weekdays or ISO
-- weeks, by the task's cadence) have been completed, now and at best, and how many in all.
-- A period is due from the task's start date to its end date; a weekly task's first and last weeks
-- are due as a whole. Revoked completions, and weekend ones under `weekdays`, count for nothing.
-- key: task_id, user_id
WITH assigned AS (
    SELECT DISTINCT task_id, user_id
    FROM events."tasks.task_assigned"
),
-- At most one run reaches the current period or the one before it: the days on which it does.
-- At a weekend the current weekday is the coming Monday, so a weekday is current from the day after
-- the weekday before it.
current_runs AS (
    SELECT task_id, user_id, periods
    FROM completion_runs
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
    FROM completion_runs
    GROUP BY task_id, user_id
),
totals AS (
    SELECT task_id, user_id, sum(periods) AS completions
    FROM completion_runs
    GROUP BY task_id, user_id
),
last_days AS (
    SELECT task_id, user_id, max(completed_on) AS last_completed_on
    FROM counted_completions
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
