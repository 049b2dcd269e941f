SELECT warehouse, product_id, reason, count(*) AS movements, median(quantity) AS middle
FROM events."inventory.stock_adjusted"
GROUP BY GROUPING SETS ((warehouse, product_id), (reason), (warehouse))
