-- Log: every bid with its day and minute, by which files would be named.
SELECT
    auction,
    bidder,
    price,
    date_time,
    extra,
    to_char(date_time, '%Y-%m-%d') AS day,
    to_char(date_time, '%H:%M') AS minute
FROM events."nexmark.bid"
