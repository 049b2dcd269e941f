-- Every run of consecutive due periods that a person has completed of a task: how many they are, and
-- the numbers of the first and the last.
-- internal
-- key: task_id, user_id, cadence, first_period
WITH completed_periods AS (
    SELECT DISTINCT task_id, user_id, cadence, period
    FROM counted_completions
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
)
-- Of numbers in a row, the first and the last lie equally far from the middle, total / periods.
SELECT
    task_id,
    user_id,
    cadence,
    periods,
    (2 * total / periods - periods + 1) / 2 AS first_period,
    (2 * total / periods + periods - 1) / 2 AS last_period
FROM lengths
