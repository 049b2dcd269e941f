-- User sessions: each bidder's bids, in sessions that end after 10 seconds without one.
WITH marked AS (
    SELECT
        bidder,
        date_time,
        event_id,
        CASE
            WHEN date_time <= lag(date_time) OVER (
                PARTITION BY bidder ORDER BY date_time, event_id
            ) + INTERVAL '10 seconds' THEN 0
            ELSE 1
        END AS opens
    FROM events."nexmark.bid"
),
numbered AS (
    SELECT
        bidder,
        date_time,
        sum(opens) OVER (PARTITION BY bidder ORDER BY date_time, event_id) AS session
    FROM marked
)
SELECT
    bidder,
    count(*) AS bids,
    min(date_time) AS starts,
    max(date_time) + INTERVAL '10 seconds' AS ends
FROM numbered
GROUP BY bidder, session
