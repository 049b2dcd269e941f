SELECT
    warehouse,
    sum(quantity * unit_cost) AS narrow,
    sum(wide) AS wide,
    sum(CASE WHEN lot IS NULL THEN quantity END) AS without_lot
FROM (
    SELECT *, CAST(quantity AS DECIMAL(76, 4)) * CAST(unit_cost AS DECIMAL(76, 4)) AS wide
    FROM events."inventory.stock_received"
)
GROUP BY warehouse
