-- ar_aging, project_profitability and budget_variance of all tenants as Flink's SQL has them, with
-- the meanings of projections/models. A view that Flink's streaming cannot say in the same words
-- (lead() without a time attribute) is said as its users would: with the first of ROW_NUMBER.
-- {today} is the date of all tenants.

CREATE TEMPORARY VIEW standing_invoices AS
SELECT i.tenant, i.invoice_id, i.customer_id, i.project_id, i.currency, i.due_date, i.amount,
    v.invoice_id IS NOT NULL AS voided
FROM (
    SELECT *, ROW_NUMBER() OVER (
        PARTITION BY tenant, invoice_id ORDER BY occurred_at DESC, event_id DESC) AS place
    FROM `invoicing.invoice_issued`
) AS i
LEFT JOIN (SELECT DISTINCT tenant, invoice_id FROM `invoicing.invoice_voided`) AS v
    ON v.tenant = i.tenant AND v.invoice_id = i.invoice_id
WHERE i.place = 1;

CREATE TEMPORARY VIEW invoice_balances AS
SELECT i.tenant, i.invoice_id, i.customer_id, i.project_id, i.currency, i.due_date, i.amount,
    i.voided, COALESCE(s.credited, 0) AS credited,
    CASE WHEN i.voided THEN 0
        ELSE i.amount - COALESCE(s.paid, 0) - COALESCE(s.credited, 0) END AS balance
FROM standing_invoices AS i
LEFT JOIN (
    SELECT tenant, invoice_id, currency, SUM(paid) AS paid, SUM(credited) AS credited
    FROM (
        SELECT tenant, invoice_id, currency, amount AS paid, CAST(0 AS DECIMAL(18, 4)) AS credited
        FROM `invoicing.payment_received`
        UNION ALL
        SELECT tenant, invoice_id, currency, CAST(0 AS DECIMAL(18, 4)) AS paid, amount AS credited
        FROM `invoicing.credit_issued`
    )
    GROUP BY tenant, invoice_id, currency
) AS s ON s.tenant = i.tenant AND s.invoice_id = i.invoice_id AND s.currency = i.currency;

CREATE TEMPORARY VIEW ar_aging AS
SELECT tenant, customer_id, currency,
    COALESCE(SUM(balance) FILTER (WHERE days <= 0), 0) AS `current`,
    COALESCE(SUM(balance) FILTER (WHERE days BETWEEN 1 AND 30), 0) AS d1_30,
    COALESCE(SUM(balance) FILTER (WHERE days BETWEEN 31 AND 60), 0) AS d31_60,
    COALESCE(SUM(balance) FILTER (WHERE days BETWEEN 61 AND 90), 0) AS d61_90,
    COALESCE(SUM(balance) FILTER (WHERE days > 90), 0) AS d90_plus,
    SUM(balance) AS total
FROM (
    SELECT tenant, customer_id, currency, balance,
        TIMESTAMPDIFF(DAY, due_date, DATE '{today}') AS days
    FROM invoice_balances
    WHERE balance <> 0
)
GROUP BY tenant, customer_id, currency;

CREATE TEMPORARY VIEW standing_employees AS
SELECT tenant, employee_id, hourly_cost, start_date, currency
FROM (
    SELECT *, ROW_NUMBER() OVER (
        PARTITION BY tenant, employee_id ORDER BY occurred_at DESC, event_id DESC) AS place
    FROM `hr.employee_onboarded`
)
WHERE place = 1;

CREATE TEMPORARY VIEW time_entries AS
SELECT l.tenant, l.entry_id, l.employee_id, l.project_id, l.work_date,
    COALESCE(c.hours, l.hours) AS hours
FROM (
    SELECT *, ROW_NUMBER() OVER (
        PARTITION BY tenant, entry_id ORDER BY occurred_at DESC, event_id DESC) AS place
    FROM `hr.time_logged`
) AS l
LEFT JOIN (
    SELECT tenant, entry_id, hours
    FROM (
        SELECT *, ROW_NUMBER() OVER (
            PARTITION BY tenant, entry_id ORDER BY occurred_at DESC, event_id DESC) AS place
        FROM `hr.time_corrected`
    )
    WHERE place = 1
) AS c ON c.tenant = l.tenant AND c.entry_id = l.entry_id
WHERE l.place = 1;

CREATE TEMPORARY VIEW rates AS
SELECT tenant, employee_id, effective_date, 2 AS strength, occurred_at, event_id, hourly_cost
FROM `hr.employee_rate_changed`
UNION ALL
SELECT tenant, employee_id, start_date, 1 AS strength, '' AS occurred_at, '' AS event_id, hourly_cost
FROM standing_employees
WHERE hourly_cost IS NOT NULL;

CREATE TEMPORARY VIEW labour AS
SELECT e.tenant, e.project_id, s.currency, e.hours * e.hourly_cost AS amount
FROM (
    SELECT t.tenant, t.entry_id, t.employee_id, t.project_id, t.hours, r.hourly_cost,
        ROW_NUMBER() OVER (
            PARTITION BY t.tenant, t.entry_id
            ORDER BY r.effective_date DESC, r.strength DESC, r.occurred_at DESC, r.event_id DESC
        ) AS place
    FROM time_entries AS t
    LEFT JOIN rates AS r
        ON r.tenant = t.tenant AND r.employee_id = t.employee_id AND r.effective_date <= t.work_date
    WHERE t.project_id IS NOT NULL
) AS e
LEFT JOIN standing_employees AS s ON s.tenant = e.tenant AND s.employee_id = e.employee_id
WHERE e.place = 1;

CREATE TEMPORARY VIEW projects AS
SELECT tenant, project_id, name, currency
FROM (
    SELECT *, ROW_NUMBER() OVER (
        PARTITION BY tenant, project_id ORDER BY occurred_at DESC, event_id DESC) AS place
    FROM `projects.project_created`
)
WHERE place = 1;

CREATE TEMPORARY VIEW bills AS
SELECT tenant, project_id, currency, amount
FROM (
    SELECT *, ROW_NUMBER() OVER (
        PARTITION BY tenant, bill_id ORDER BY occurred_at DESC, event_id DESC) AS place
    FROM `purchasing.bill_received`
)
WHERE place = 1 AND project_id IS NOT NULL;

CREATE TEMPORARY VIEW ledger AS
SELECT tenant, project_id, currency, 'revenue' AS account,
    CAST(CASE WHEN voided THEN NULL ELSE amount - credited END AS DECIMAL(37, 8)) AS amount
FROM invoice_balances WHERE project_id IS NOT NULL
UNION ALL
SELECT tenant, project_id, currency, 'labour', CAST(amount AS DECIMAL(37, 8)) FROM labour
UNION ALL
SELECT tenant, project_id, CAST(NULL AS STRING), 'material',
    CAST(quantity * unit_cost AS DECIMAL(37, 8))
FROM `inventory.stock_issued` WHERE project_id IS NOT NULL
UNION ALL
SELECT tenant, project_id, currency, 'expenses', CAST(amount AS DECIMAL(37, 8))
FROM `governance.expense_recorded`
UNION ALL
SELECT tenant, project_id, currency, 'expenses', CAST(amount AS DECIMAL(37, 8)) FROM bills
UNION ALL
SELECT tenant, project_id, currency, 'budget', CAST(NULL AS DECIMAL(37, 8))
FROM `governance.budget_set`
UNION ALL
SELECT tenant, project_id, CAST(NULL AS STRING), 'project', CAST(NULL AS DECIMAL(37, 8))
FROM projects
UNION ALL
SELECT tenant, project_id, CAST(NULL AS STRING), 'status', CAST(NULL AS DECIMAL(37, 8))
FROM `projects.project_status_changed`
UNION ALL
SELECT tenant, project_id, CAST(NULL AS STRING), 'milestone', CAST(NULL AS DECIMAL(37, 8))
FROM `projects.milestone_reached`
UNION ALL
SELECT tenant, project_id, CAST(NULL AS STRING), 'check', CAST(NULL AS DECIMAL(37, 8))
FROM `governance.compliance_checked` WHERE project_id IS NOT NULL;

CREATE TEMPORARY VIEW accounts AS
SELECT tenant, project_id, currency,
    COALESCE(SUM(amount) FILTER (WHERE account = 'revenue'), 0) AS revenue,
    COALESCE(SUM(amount) FILTER (WHERE account = 'labour'), 0) AS labour,
    COALESCE(SUM(amount) FILTER (WHERE account = 'material'), 0) AS material,
    COALESCE(SUM(amount) FILTER (WHERE account = 'expenses'), 0) AS expenses
FROM ledger
GROUP BY tenant, project_id, currency;

CREATE TEMPORARY VIEW totals AS
SELECT tenant, project_id, currency, name,
    CAST(ROUND(SUM(revenue), 4) AS DECIMAL(18, 4)) AS revenue,
    CAST(ROUND(SUM(labour), 4) AS DECIMAL(18, 4)) AS labour_cost,
    CAST(ROUND(SUM(material), 4) AS DECIMAL(18, 4)) AS material_cost,
    CAST(ROUND(SUM(expenses), 4) AS DECIMAL(18, 4)) AS expenses
FROM (
    SELECT a.tenant, a.project_id, COALESCE(a.currency, p.currency) AS currency, p.name, a.revenue,
        a.labour, a.material, a.expenses
    FROM accounts AS a
    LEFT JOIN projects AS p ON p.tenant = a.tenant AND p.project_id = a.project_id
)
GROUP BY tenant, project_id, currency, name;

CREATE TEMPORARY VIEW project_profitability AS
SELECT tenant, project_id, currency, name, revenue, labour_cost, material_cost, expenses, profit,
    CAST(ROUND(profit / NULLIF(revenue, 0), 4) AS DECIMAL(38, 4)) AS margin
FROM (
    SELECT *,
        CAST(revenue - labour_cost - material_cost - expenses AS DECIMAL(18, 4)) AS profit
    FROM totals
);

CREATE TEMPORARY VIEW budget_variance AS
SELECT tenant, project_id, currency, budget, spent,
    CAST(budget - spent AS DECIMAL(38, 4)) AS variance,
    CAST(ROUND(spent / NULLIF(budget, 0), 4) AS DECIMAL(38, 4)) AS used,
    spent > budget AS exceeded
FROM (
    SELECT b.tenant, b.project_id, b.currency, b.amount AS budget,
        CAST(c.labour_cost + c.material_cost + c.expenses AS DECIMAL(18, 4)) AS spent
    FROM (
        SELECT *, ROW_NUMBER() OVER (
            PARTITION BY tenant, project_id, currency
            ORDER BY effective_date DESC, occurred_at DESC, event_id DESC) AS place
        FROM `governance.budget_set`
        WHERE effective_date <= DATE '{today}'
    ) AS b
    JOIN totals AS c
        ON c.tenant = b.tenant AND c.project_id = b.project_id AND c.currency = b.currency
    WHERE b.place = 1
);
