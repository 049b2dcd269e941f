SELECT project_id, amount FROM events."governance.expense_recorded"
UNION ALL
SELECT project_id, -amount FROM events."governance.budget_set"
UNION ALL
SELECT project_id, 0 FROM events."projects.project_created"
