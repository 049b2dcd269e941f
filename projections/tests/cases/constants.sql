one := SELECT 1 AS n, 'a' AS letter;
SELECT o.n, o.letter, v.word, c.call_id, current_date AS today
FROM one AS o
JOIN (VALUES ('a', 'first'), ('b', 'second'), ('a', 'third')) AS v (letter, word) ON v.letter = o.letter
LEFT JOIN events."crm.call_logged" AS c ON c.user_id = v.letter
