SELECT date_bin(INTERVAL '2 hours', occurred_at) AS bin, date_trunc('hour', occurred_at) AS hour, count(*) AS calls
FROM events."crm.call_logged"
GROUP BY date_bin(INTERVAL '2 hours', occurred_at), date_trunc('hour', occurred_at)
