SELECT 'all' AS what, count(*) AS movements, min(quantity) AS least
FROM events."inventory.stock_adjusted"
WHERE quantity > 20
UNION ALL
SELECT 'none', count(*), 0 FROM events."inventory.stock_adjusted" WHERE false
