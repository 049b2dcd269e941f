SELECT warehouse, count(*) AS movements, count(reason) AS with_reason, count(1) AS ones
FROM events."inventory.stock_adjusted"
GROUP BY warehouse
