-- The two zeros of floats are one key: of groups, of sets of them, of distinct values and of joins.
zeros := SELECT i.invoice_id, round(CAST(v.x AS DOUBLE)) AS zero
FROM events."invoicing.invoice_issued" AS i
CROSS JOIN (VALUES (0.3), (-0.3), (0.8)) AS v(x);
met := SELECT a.zero, count(*) AS pairs
FROM zeros AS a
JOIN zeros AS b ON b.zero = a.zero AND b.invoice_id = a.invoice_id
WHERE a.zero NOT IN (SELECT zero FROM zeros WHERE zero > 0)
GROUP BY a.zero;
SELECT z.zero, count(*) AS n, count(DISTINCT m.zero) AS kinds, max(m.pairs) AS pairs
FROM zeros AS z
LEFT JOIN met AS m ON m.zero = z.zero
GROUP BY ROLLUP (z.zero)
