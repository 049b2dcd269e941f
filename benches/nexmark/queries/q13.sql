-- Bounded side input: every bid with the value that a table of 10,000 rows has for it.
SELECT b.auction, b.bidder, b.price, b.date_time, s.value
FROM events."nexmark.bid" AS b
JOIN events."nexmark.side_input" AS s ON s.key = b.auction % 10000
