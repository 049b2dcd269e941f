SELECT product_id, warehouse, sum(quantity) AS quantity, sum(-quantity) AS negated
FROM events."inventory.stock_adjusted"
GROUP BY product_id, warehouse
