SELECT s.expense_id, s.amount, b.budget_id
FROM events."governance.expense_recorded" AS s
LEFT JOIN (SELECT event_id AS budget_id, amount FROM events."governance.budget_set") AS b
    ON b.amount < s.amount
