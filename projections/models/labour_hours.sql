-- Hours worked on each project, and how many of them are billable, as corrected.
-- Time on no project has no row.
-- key: project_id
SELECT
    project_id,
    CAST(sum(hours) AS DECIMAL(38, 4)) AS hours,
    CAST(sum(CASE WHEN billable THEN hours ELSE 0 END) AS DECIMAL(38, 4)) AS billable_hours
FROM time_entries
WHERE project_id IS NOT NULL
GROUP BY project_id
