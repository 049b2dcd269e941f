SELECT
    employee_id,
    event_id,
    effective_date,
    lag(hourly_cost) OVER (PARTITION BY employee_id ORDER BY effective_date, event_id) AS before,
    lead(effective_date) OVER (PARTITION BY employee_id ORDER BY effective_date, event_id) AS until
FROM events."hr.employee_rate_changed"
