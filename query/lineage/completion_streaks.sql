-- A person's task: the assignment that stands, and the completions that count. The first completion of
-- a due period contributes 1, others of the same period 0. `run` is how many due periods in a row its
-- period stands in: `current` are those of the run that reaches the current period or the one before
-- it, `longest` those of the longest run, the latest of several.
-- main: current_streak
-- column current_streak: assignment + current
-- column longest_streak: assignment + longest
-- column last_completed_on (the last day): assignment + completions => max(completed_on)
-- column completions: assignment + completions
WITH assignment AS (
    SELECT *
    FROM events."tasks.task_assigned"
    WHERE task_id = $task_id AND user_id = $user_id
    ORDER BY occurred_at DESC, event_id DESC
    LIMIT 1
),
stated AS (
    SELECT
        *,
        row_number() OVER (PARTITION BY completion_id ORDER BY occurred_at DESC, event_id DESC) AS age
    FROM events."tasks.task_completed"
    WHERE completion_id IN (
        SELECT completion_id
        FROM events."tasks.task_completed"
        WHERE task_id = $task_id AND user_id = $user_id
    )
),
-- Days are counted from 0001-01-01, a Monday: day / 7 is the ISO week, day % 7 the weekday from 0.
standing AS (
    SELECT *, completed_on - DATE '0001-01-01' AS day
    FROM stated AS s
    WHERE age = 1
        AND NOT EXISTS (
            SELECT 1
            FROM events."tasks.completion_revoked" AS r
            WHERE r.completion_id = s.completion_id
        )
),
due AS (
    SELECT
        *,
        CASE cadence
            WHEN 'weekly' THEN (start_date - DATE '0001-01-01') / 7 * 7
            ELSE start_date - DATE '0001-01-01'
        END AS first_day,
        CASE cadence
            WHEN 'weekly' THEN (end_date - DATE '0001-01-01') / 7 * 7 + 6
            ELSE end_date - DATE '0001-01-01'
        END AS last_day
    FROM assignment
),
counted AS (
    SELECT
        s.event_id,
        s.occurred_at,
        s.subject,
        s.completion_id,
        s.completed_on,
        a.cadence,
        CASE a.cadence
            WHEN 'daily' THEN s.day
            WHEN 'weekdays' THEN s.day / 7 * 5 + s.day % 7
            WHEN 'weekly' THEN s.day / 7
        END AS period
    FROM due AS a
    JOIN standing AS s ON s.task_id = a.task_id AND s.user_id = a.user_id
    WHERE s.day >= a.first_day
        AND (a.last_day IS NULL OR s.day <= a.last_day)
        AND (a.cadence IN ('daily', 'weekly') OR (a.cadence = 'weekdays' AND s.day % 7 < 5))
),
-- Within a run the period and its rank grow together, so their difference names the run.
ranked AS (
    SELECT
        *,
        period - CAST(dense_rank() OVER (ORDER BY period) AS BIGINT) AS run,
        row_number() OVER (PARTITION BY period ORDER BY occurred_at, event_id) AS place
    FROM counted
),
runs AS (
    SELECT
        cadence,
        run,
        min(period) AS first_period,
        max(period) AS last_period,
        max(period) - min(period) + 1 AS periods
    FROM ranked
    GROUP BY cadence, run
),
longest_run AS (
    SELECT run FROM runs ORDER BY periods DESC, run DESC LIMIT 1
),
-- The days on which a run reaches the current period or the one before it.
current_run AS (
    SELECT run
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
contributing AS (
    SELECT
        c.*,
        CASE WHEN c.place = 1 THEN 1 ELSE 0 END AS amount,
        r.periods
    FROM ranked AS c
    JOIN runs AS r ON r.run = c.run
)
SELECT
    'assignment' AS part,
    'tasks.task_assigned' AS type,
    event_id,
    occurred_at,
    subject,
    0 AS amount,
    NULL AS completion_id,
    CAST(NULL AS DATE) AS completed_on,
    cadence,
    CAST(NULL AS BIGINT) AS period,
    CAST(NULL AS BIGINT) AS run
FROM assignment
UNION ALL
SELECT
    'completions' AS part,
    'tasks.task_completed' AS type,
    event_id,
    occurred_at,
    subject,
    amount,
    completion_id,
    completed_on,
    cadence,
    period,
    periods AS run
FROM contributing
UNION ALL
SELECT
    'current' AS part,
    'tasks.task_completed' AS type,
    event_id,
    occurred_at,
    subject,
    amount,
    completion_id,
    completed_on,
    cadence,
    period,
    periods AS run
FROM contributing
WHERE run IN (SELECT run FROM current_run)
UNION ALL
SELECT
    'longest' AS part,
    'tasks.task_completed' AS type,
    event_id,
    occurred_at,
    subject,
    amount,
    completion_id,
    completed_on,
    cadence,
    period,
    periods AS run
FROM contributing
WHERE run IN (SELECT run FROM longest_run)
