-- A column of the type of nulls counts nothing and meets nothing.
WITH noted AS (SELECT entry_id, project_id, NULL AS note FROM events."hr.time_logged")
SELECT
    a.project_id,
    count(a.note) AS notes,
    count(DISTINCT a.note) AS kinds,
    count(b.entry_id) AS partners
FROM noted AS a
LEFT JOIN noted AS b ON b.note = a.note
GROUP BY a.project_id
