SELECT t.entry_id, t.work_date, r.hourly_cost
FROM events."hr.time_logged" AS t
LEFT JOIN events."hr.employee_rate_changed" AS r
    ON r.employee_id = t.employee_id AND r.effective_date <= t.work_date
