SELECT project_id, currency FROM events."governance.expense_recorded"
UNION
SELECT project_id, currency FROM events."governance.budget_set"
