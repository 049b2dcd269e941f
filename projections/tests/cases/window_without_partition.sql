SELECT call_id, event_id, row_number() OVER (ORDER BY duration_s, event_id) AS place
FROM events."crm.call_logged"
