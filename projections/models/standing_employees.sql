-- Every employee as last onboarded: the latest statement by (occurred_at, event_id).
-- internal
-- key: employee_id
SELECT
    employee_id,
    last_value(department ORDER BY occurred_at, event_id) AS department,
    last_value(hourly_cost ORDER BY occurred_at, event_id) AS hourly_cost,
    last_value(weekly_hours ORDER BY occurred_at, event_id) AS weekly_hours,
    last_value(start_date ORDER BY occurred_at, event_id) AS start_date,
    last_value(currency ORDER BY occurred_at, event_id) AS currency
FROM events."hr.employee_onboarded"
GROUP BY employee_id
