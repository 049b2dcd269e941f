-- Hot items: the auctions with the most bids in each window of 10 seconds, a window every 2.
WITH bids AS (
    SELECT auction, date_bin(INTERVAL '2 seconds', date_time) AS slide
    FROM events."nexmark.bid"
),
windows AS (
    SELECT auction, slide AS starts FROM bids
    UNION ALL
    SELECT auction, slide - INTERVAL '2 seconds' AS starts FROM bids
    UNION ALL
    SELECT auction, slide - INTERVAL '4 seconds' AS starts FROM bids
    UNION ALL
    SELECT auction, slide - INTERVAL '6 seconds' AS starts FROM bids
    UNION ALL
    SELECT auction, slide - INTERVAL '8 seconds' AS starts FROM bids
),
counts AS (
    SELECT auction, starts, count(*) AS bids FROM windows GROUP BY auction, starts
),
most AS (
    SELECT starts, max(bids) AS bids FROM counts GROUP BY starts
)
SELECT c.auction, c.starts, c.bids
FROM counts AS c
JOIN most AS m ON m.starts = c.starts AND m.bids = c.bids
