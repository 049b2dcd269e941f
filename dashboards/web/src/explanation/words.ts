/** What is said about the events behind a figure. */
import { texts } from '../lib/texts';

export const words = {
  why: (figure: string) => `Why is this ${figure}?`,
  whyUnknown: 'Why this figure?',
  ask: 'Show the events behind it',
  loading: 'Gathering the events…',
  events: (count: string) => (count === '1' ? '1 event' : `${count} events`),
  position: 'Position',
  update: 'Update',
  updating: 'Updating…',
  showNow: 'Show it as it is now',
  csvAll: 'Downloads all events',
  changed: (now: string) => `It has changed since: it is ${now} now.`,
  gone: 'It has changed since: it is not among the rows any more.',
  goneTitle: 'This figure is not there any more',
  goneWay: 'Its row is gone, as that of an invoice that was paid. Go back to the rows that there are.',
  none: 'No event counts here.',
  table: 'Events, the earliest first',
  when: 'When', event: 'Event', amount: 'Amount', soFar: 'So far',
  more: 'Show more events',
  most: 'More are not listed here. The file has all of them.',
  rest: (count: string) => (count === '1' ? '1 later event' : `${count} later events`),
  withheld: (count: string, module: string) =>
    `${count === '1' ? '1 event' : `${count} events`} of the module ${module}, which is switched off`,
  rounding: 'Rounding',
  together: 'Together',
  madeOf: 'What it is made of',
  agrees: (sum: string) => `The events come to ${sum}: the same as the figure.`,
  differs: (sum: string, figure: string) =>
    `The events come to ${sum}, but the figure says ${figure}. Tell whoever runs Tidemark for you.`,
  /** What happened, by the type of the event. */
  types: {
    'invoicing.invoice_issued': 'Invoice', 'invoicing.payment_received': 'Payment',
    'invoicing.credit_issued': 'Credit note', 'invoicing.invoice_voided': 'Invoice voided',
    'crm.opportunity_opened': 'Opportunity opened', 'crm.opportunity_closed': 'Opportunity closed',
    'crm.opportunity_stage_changed': 'Stage changed',
    'projects.project_created': 'Project created',
    'governance.budget_set': 'Budget set', 'governance.compliance_checked': 'Check',
    'hr.time_logged': 'Hours', 'hr.time_corrected': 'Hours corrected',
    'hr.employee_onboarded': 'Person joined', 'hr.employee_moved': 'Person moved', 'hr.employee_left': 'Person left',
    'purchasing.bill_received': 'Supplier’s bill', 'governance.expense_recorded': 'Expense',
    'inventory.product_added': 'Product', 'inventory.stock_received': 'Stock received',
    'inventory.stock_issued': 'Stock issued', 'inventory.stock_shipped': 'Stock shipped',
    'inventory.stock_adjusted': 'Stock adjusted',
    'tasks.task_assigned': 'Task assigned', 'tasks.task_completed': 'Task completed',
  } as Record<string, string>,
  /** What a figure is made of, by the rows that it stands in. */
  parts: {
    ar_aging: { ...texts.aging.buckets, undated: 'Without a date' },
    open_invoices: { invoiced: 'Invoiced', paid: 'Paid', credited: 'Credited' },
    project_profitability: {
      project: 'The project', revenue: 'Invoiced, less credits', labour: 'Hours at their rates',
      material: 'Material', expenses: 'Expenses and bills',
    },
    pipeline: { opportunities: 'Opportunities', amount: 'Amounts' },
    completion_streaks: {
      assignment: 'The assignment', current: 'Of the current run', longest: 'Of the longest run',
      completions: 'Completions',
    },
    inventory_levels: {
      product: 'The product', received: 'Received', issued: 'Issued', shipped: 'Shipped', adjusted: 'Adjusted',
    },
    headcount: { active: 'Employed', joined: 'Joined', left: 'Left' },
    labour_hours: { billable: 'Billable', unbillable: 'Not billable' },
    utilization: { billable: 'Billable', unbillable: 'Not billable', capacity: 'Weekly hours' },
    budget_variance: {
      budget: 'Budget in force', labour: 'Hours at their rates', material: 'Material', expenses: 'Expenses and bills',
    },
  } as Record<string, Record<string, string>>,
  /** How a figure follows that is no sum, by the words of the service. */
  rules: {
    'today - due_date': 'The days from the due date to today',
    'on_hand × average cost of what was received': 'What is on hand × the average cost of what was received',
    'billable ÷ capacity': 'Billable hours ÷ the weekly hours',
    'on_hand < reorder_point': 'Whether less is on hand than the reorder point',
  } as Record<string, string>,
  stated: 'As the event states',
  /** What an event says besides its amount; empty where the value speaks for itself. */
  fields: {
    reference: '', day: '', work_date: '', completed_on: '', name: '', cadence: '',
    entry_id: '', completion_id: '', opportunity_id: '', owner: '', account: '', employee_id: '',
    invoice_id: 'Invoice', due_date: 'Due', quantity: 'Quantity', rate: 'Rate', unit_cost: 'Unit cost',
    reorder_point: 'Reorder point', start_date: 'From', moved_on: 'Moved', end_date: 'Until', run: 'Run of',
  } as Record<string, string>,
};
