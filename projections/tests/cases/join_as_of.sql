SELECT t.entry_id, t.event_id, t.work_date, t.hours * r.hourly_cost AS cost
FROM events."hr.time_logged" AS t
LEFT JOIN (
    SELECT
        employee_id,
        hourly_cost,
        effective_date,
        lead(effective_date) OVER (PARTITION BY employee_id ORDER BY effective_date) AS until
    FROM (
        SELECT employee_id, effective_date, last_value(hourly_cost ORDER BY occurred_at, event_id) AS hourly_cost
        FROM events."hr.employee_rate_changed"
        GROUP BY employee_id, effective_date
    )
) AS r
    ON r.employee_id = t.employee_id
    AND r.effective_date <= t.work_date
    AND (r.until IS NULL OR r.until > t.work_date)
