-- Calls of each person on each day (the UTC date of the call), by how they ended, and the seconds
-- they took. A call logged again counts once, as the latest statement by (occurred_at, event_id)
-- has it.
-- key: user_id, disposition, day
WITH calls AS (
    SELECT
        call_id,
        last_value(user_id ORDER BY occurred_at, event_id) AS user_id,
        last_value(disposition ORDER BY occurred_at, event_id) AS disposition,
        last_value(occurred_at ORDER BY occurred_at, event_id) AS called_at,
        last_value(duration_s ORDER BY occurred_at, event_id) AS duration_s
    FROM events."crm.call_logged"
    GROUP BY call_id
)
SELECT
    user_id,
    disposition,
    CAST(called_at AS DATE) AS day,
    count(*) AS calls,
    sum(duration_s) AS talk_seconds
FROM calls
GROUP BY user_id, disposition, CAST(called_at AS DATE)
