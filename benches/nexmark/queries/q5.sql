-- Hot items: the auctions with the most bids in each window of 10 seconds, a window every 2.
WITH bids AS (
    SELECT auction, unnest(hop(date_time, INTERVAL '2 seconds', INTERVAL '10 seconds')) AS starts
    FROM events."nexmark.bid"
),
counts AS (
    SELECT auction, starts, count(*) AS bids FROM bids GROUP BY auction, starts
),
most AS (
    SELECT starts, max(bids) AS bids FROM counts GROUP BY starts
)
SELECT c.auction, c.starts, c.bids
FROM counts AS c
JOIN most AS m ON m.starts = c.starts AND m.bids = c.bids
