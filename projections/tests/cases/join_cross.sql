SELECT c.call_id, c.duration_s, t.total, c.duration_s * 100 / nullif(t.total, 0) AS share
FROM events."crm.call_logged" AS c
CROSS JOIN (SELECT sum(duration_s) AS total FROM events."crm.call_logged") AS t
