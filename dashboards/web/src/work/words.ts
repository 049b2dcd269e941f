/** What the page of projects, budgets and utilization says. */
export const words = {
  title: 'Projects, budgets and utilization',
  budgets: {
    title: 'Budgets',
    counts: 'What is left of the budgets in force, the most used first',
    all: 'All budgets',
    unit: (count: string) => (count === '1' ? 'budget exceeded' : 'budgets exceeded'),
    used: (share: string) => `${share} of all of them used`,
    of: (used: string) => `${used} used`,
    empty: 'No budget is in force. Set the budget of a project and what is left of it shows here.',
  },
  weeks: {
    title: 'Utilization',
    counts: 'Billable hours against the weekly hours of each person',
    all: 'All weeks',
    week: 'Week of',
    unit: 'of the weekly hours billable',
    people: (count: string) => (count === '1' ? '1 person with hours' : `${count} people with hours`),
    of: (share: string, capacity: string) => `${share} of ${capacity} h`,
    unknown: 'weekly hours not known',
    empty: 'Log time and who is utilized how much shows here.',
  },
};
