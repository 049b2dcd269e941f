SELECT project_id, b.amount AS budget, e.amount AS expense
FROM (SELECT project_id, sum(amount) AS amount FROM events."governance.budget_set" GROUP BY project_id) AS b
FULL JOIN (SELECT project_id, sum(amount) AS amount FROM events."governance.expense_recorded" GROUP BY project_id) AS e
    USING (project_id)
