-- New sellers: who has come and opened an auction within the same 10 seconds.
WITH people AS (
    SELECT id, name, date_bin(INTERVAL '10 seconds', date_time) AS starts
    FROM events."nexmark.person"
),
sellers AS (
    SELECT DISTINCT seller, date_bin(INTERVAL '10 seconds', date_time) AS starts
    FROM events."nexmark.auction"
)
SELECT p.id, p.name, p.starts
FROM people AS p
JOIN sellers AS s ON s.seller = p.id AND s.starts = p.starts
