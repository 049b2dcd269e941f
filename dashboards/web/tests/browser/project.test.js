// One project: what finance, people, stock and governance know of it, on one page.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { figure, launch, open as openPage, reads, textOf } from './browser.js';
import { Service, tokenOf, until } from './service.js';

/** @type {Service} */
let service;
/** @type {import('playwright-core').Browser} */
let browser;

const FIRM = { id: 'harbour', name: 'Harbour & Finch', timezone: 'Europe/London', currency: 'GBP', clock: 'fixed:2026-03-31' };
const ODD = 'A/7 50% v1.2?';
const invoice = (id, project_id, amount, about = {}) => ['invoicing.invoice_issued', {
  invoice_id: id, customer_id: 'Nordlicht', project_id, issue_date: '2026-01-05', due_date: '2026-02-04', amount, ...about,
}];
const hours = (id, employee_id, project_id, worked, billable, about = {}) => ['hr.time_logged', {
  entry_id: id, employee_id, project_id, work_date: '2026-02-02', hours: worked, billable, ...about,
}];
const employee = (id, hourly_cost) =>
  ['hr.employee_onboarded', { employee_id: id, department: 'Engineering', hourly_cost, start_date: '2025-01-01' }];
const expense = (id, project_id, amount, about = {}) =>
  ['governance.expense_recorded', { expense_id: id, project_id, amount, spent_on: '2026-02-10', ...about }];
const issued = (id, product_id, quantity, unit_cost) =>
  ['inventory.stock_issued', { movement_id: id, product_id, warehouse: 'main', quantity, unit_cost, project_id: 'P1' }];
const check = (id, rule, passed, project_id = 'P1') =>
  ['governance.compliance_checked', { check_id: id, project_id, rule, passed }];
const created = (project_id, name, about = {}) => ['projects.project_created', { project_id, name, ...about }];
const status = (project_id, status, at) => ['projects.project_status_changed', { project_id, status }, at];
const reached = (milestone_id, name, reached_on, project_id = 'P1') =>
  ['projects.milestone_reached', { milestone_id, project_id, name, reached_on }];
const assigned = (task_id, user_id, title) =>
  ['tasks.task_assigned', { task_id, user_id, title, cadence: 'daily', start_date: '2026-03-28' }];
const completed = (completion_id, task_id, user_id, completed_on) =>
  ['tasks.task_completed', { completion_id, task_id, user_id, completed_on }];

const HISTORY = [
  created('P1', 'Terminal refit', { manager: 'mira', due_date: '2026-06-30' }), created('P2', 'Another'), created(ODD, 'Oddly numbered'),
  invoice('I1', 'P1', '10000'),
  ['invoicing.payment_received', { payment_id: 'PAY1', invoice_id: 'I1', amount: '2500', paid_on: '2026-03-01' }],
  employee('mira', '50'), employee('ada', '80'),
  status('P1', 'on_hold', '2026-03-01T10:00:00Z'), status('P1', 'active', '2026-03-01T09:30:00Z'), status('P2', 'completed'),
  reached('MS1', 'Foundations', '2026-02-20'), reached('MS2', 'Steel frame', '2026-03-12'), reached('MS9', 'Elsewhere', '2026-03-12', 'P2'),
  assigned('weld', 'mira', 'Weld the frames'), assigned('sweep', 'ada', 'Sweep the yard'),
  completed('C1', 'weld', 'mira', '2026-03-30'), completed('C2', 'weld', 'mira', '2026-03-31'), completed('C3', 'sweep', 'ada', '2026-03-31'),
  hours('T1', 'mira', 'P1', '40', true, { task_id: 'weld' }), hours('T2', 'ada', 'P1', '10', false),
  ['hr.time_corrected', { entry_id: 'T2', hours: '8' }, '2026-03-02T09:00:00Z'],
  ['inventory.product_added', { product_id: 'S1', name: 'Hex bolt' }],
  ['inventory.product_added', { product_id: 'S2', name: 'Plate' }],
  issued('M1', 'S1', '30', '2'), issued('M2', 'S2', '2', '45.5'),
  expense('X1', 'P1', '120.40', { category: 'travel' }), expense('X2', 'P1', '79.60', { category: 'travel' }),
  expense('X3', 'P1', '10'),
  ['purchasing.bill_received', {
    bill_id: 'B1', supplier_id: 'Steelworks', project_id: 'P1', issue_date: '2026-02-01', due_date: '2026-03-01', amount: '500',
  }],
  ['governance.budget_set', { project_id: 'P1', amount: '5000', effective_date: '2026-01-01' }],
  check('K1', 'Two signatures', false), check('K2', 'Two signatures', true), check('K3', 'Site insurance', true),
  // What is another project's is not told of this one.
  invoice('I9', 'P2', '7', { customer_id: 'Bluewater' }), invoice('I8', 'P2', '300', { currency: 'EUR' }),
  hours('T9', 'mira', 'P2', '5', true), expense('X9', 'P2', '1', { category: 'travel' }), check('K9', 'Two signatures', false, 'P2'),
];

before(async () => {
  service = await Service.start();
  await service.createTenant(FIRM);
  await service.createTenant({ ...FIRM, id: 'narrow', name: 'Narrow', modules: ['projects', 'invoicing'] });
  await service.post(FIRM.id, ...HISTORY);
  // Nobody can wait there by the people of the firm.
  await service.deliver('narrow', created('P1', 'Small works'), invoice('I1', 'P1', '12.34'));
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await service?.stop();
});

const open = async (t, path, { role = 'executive', tenant = FIRM.id, ...size } = {}) =>
  openPage(t, browser, `${service.address}${path}#token=${await tokenOf(role, role, tenant)}`, size);

const panel = (page, name) => page.locator(`[data-panel=${name}]`);
const fact = (page, name, id) => panel(page, name).locator(`[data-fact="${id}"]`);
const title = (page) => page.locator('main h2').first();
const sheet = (page) => page.locator('[data-drawer=why]');
const isClosed = (page) => until('what lies over the page is closed', async () => (await page.locator('dialog').count()) === 0);

test('an executive comes from the overview and sees it all, as it changes', async (t) => {
  const { page, complaints } = await open(t, '/');
  await panel(page, 'projects').getByRole('link', { name: 'Terminal refit' }).click();
  await reads(title(page), 'Terminal refit');
  assert.equal(page.url(), `${service.address}/projects/P1`);
  await reads(page.locator('main header').first(), /P1, as of 31 Mar 2026/);
  await reads(page.locator('nav [aria-current=page]'), 'Projects');
  await reads(figure(page, 'revenue'), '10,000.00GBP');
  await reads(figure(page, 'profit'), '6,499.00GBP');
  await reads(figure(page, 'left'), '1,499.00GBP');
  await reads(figure(page, 'hours'), '48.00hours');
  await reads(page.locator('[data-figure=profit] .detail'), '65.0% margin');
  await reads(fact(page, 'money', 'labour_cost'), /^Labour\s*2,640\.00\s*26%$/);
  await reads(fact(page, 'money', 'material_cost'), /^Material\s*151\.00/);
  await reads(fact(page, 'money', 'expenses'), /^Expenses\s*710\.00/);
  await reads(fact(page, 'money', 'margin'), /^Margin\s*65\.0%/);
  const chart = await panel(page, 'money').locator('[role=img]').getAttribute('aria-label');
  assert.equal(chart, 'Revenue: 10,000.00 GBP; Labour: −2,640.00 GBP; Material: −151.00 GBP; Expenses: −710.00 GBP; Profit: 6,499.00 GBP');
  await reads(panel(page, 'budget').locator('.hero'), /^1,499\.00 GBP left ?70% used$/);
  await reads(fact(page, 'budget', 'spent'), /^Spent\s*3,501\.00\s*70%$/);
  await reads(fact(page, 'budget', 'labour_cost'), /^Labour\s*2,640\.00\s*53%$/);
  await reads(panel(page, 'work').locator('.hero'), /^48\.0 hours ?83% billable$/);
  await reads(panel(page, 'material').locator('.hero'), /^151\.00 GBP of material$/);
  await reads(panel(page, 'rules').locator('.hero'), /^1 check failed$/);
  await reads(page.locator('[data-check]'), /^Two signatures\s*1 Mar 2026, 09:00$/);
  await reads(panel(page, 'unpaid').locator('li'), /^I1 · Nordlicht\s*7,500\.00\s*55 days late$/);
  // Those who may not ask in SQL are told where the rest stands.
  await reads(panel(page, 'work').locator('.body'), /Who worked stands with the events/);
  assert.equal(await panel(page, 'work').locator('li').count(), 0);
  await page.evaluate(() => (window.standing = true));
  await service.post(FIRM.id, expense('X4', 'P1', '100', { category: 'fuel' }));
  await reads(figure(page, 'left'), '1,399.00GBP');
  await reads(page.locator('[data-figure=left] .change'), /^−100\.00 since \d\d:\d\d/);
  await reads(fact(page, 'budget', 'spent'), /^Spent\s*3,601\.00/);
  await reads(page.locator('[data-link]'), /^Live changed/);
  assert.equal(await page.evaluate(() => window.standing), true, 'the page was not loaded again');
  await page.goBack();
  await reads(figure(page, 'receivables'), /GBP$/);
  assert.deepEqual(complaints, []);
});

test('every figure leads to the events that it is made of, and back', async (t) => {
  const { page, complaints } = await open(t, '/projects/P1');
  const key = page.locator('[data-figure=left]');
  await reads(figure(page, 'left'), '1,399.00GBP');
  await key.focus();
  await page.keyboard.press('Enter');
  await reads(sheet(page).locator('h2'), 'Why is this 1,399.00?');
  await reads(sheet(page).locator('header'), /Left · P1 · GBP/);
  await reads(sheet(page).locator('[data-agrees]'), /the same as the figure\.$/);
  // The address keeps it.
  await page.reload();
  await reads(sheet(page).locator('h2'), 'Why is this 1,399.00?');
  await reads(title(page), 'Terminal refit');
  await page.keyboard.press('Escape');
  await isClosed(page);
  assert.equal(page.url(), `${service.address}/projects/P1`);
  const figures = page.locator('main button[aria-haspopup=dialog]');
  await until('all figures are there', async () => (await figures.count()) >= 15);
  const count = await figures.count();
  for (let n = 0; n < count; n += 1) {
    await figures.nth(n).click();
    await reads(sheet(page).locator('[data-agrees]'), /the same as the figure\.$/);
    await page.keyboard.press('Escape');
    await isClosed(page);
    assert.equal(page.url(), `${service.address}/projects/P1`);
  }
  // A tile leads to its rows, which are this project's alone.
  await panel(page, 'unpaid').locator('header a').click();
  await until('one invoice is listed', async () => (await page.locator('dialog tbody tr').count()) === 1);
  await page.keyboard.press('Escape');
  await reads(title(page), 'Terminal refit');
  assert.deepEqual(complaints, []);
});

test('an analyst sees people, products, categories and rules too, as they change', async (t) => {
  const { page, complaints } = await open(t, '/projects/P1', { role: 'analyst' });
  const people = panel(page, 'work').locator('li');
  await reads(people.nth(0), /^mira\s*40\s*100% billable$/);
  await reads(people.nth(1), /^ada\s*8\s*0% billable$/);
  assert.equal(await people.count(), 2);
  const products = panel(page, 'material').locator('li');
  await reads(products.nth(0), /^Plate\s*91\.00\s*2 used$/);
  await reads(products.nth(1), /^Hex bolt\s*60\.00\s*30 used$/);
  await reads(fact(page, 'budget', 'bills'), /^Suppliers’ bills\s*500\.00\s*10%$/);
  await reads(fact(page, 'budget', 'category travel'), /^travel\s*200\.00/);
  await reads(fact(page, 'budget', 'category fuel'), /^fuel\s*100\.00/);
  await reads(fact(page, 'budget', 'category '), /^Without a category\s*10\.00/);
  await reads(page.locator('[data-rule="Two signatures"]'), /1 of 2 passed$/);
  await reads(page.locator('[data-rule="Site insurance"]'), /1 of 1 passed$/);
  await service.post(
    FIRM.id, hours('T3', 'ada', 'P1', '2.25', true), hours('T4', 'bo', 'P2', '100', true), check('K1', 'Two signatures', true),
  );
  await reads(people.nth(1), /^ada\s*10\.25\s*22% billable$/);
  assert.equal(await people.count(), 2);
  await reads(panel(page, 'work').locator('.hero'), /^50\.3 hours/);
  assert.deepEqual(complaints, []);
});

test('an analyst sees how it stands, what it has reached and which tasks it was worked at', async (t) => {
  const { page, complaints } = await open(t, '/projects/P1', { role: 'analyst' });
  const about = (name) => page.locator(`[data-about=${name}]`);
  // The last word on it, by the time of the events.
  await reads(about('status'), /^Status ?On hold$/);
  await reads(about('manager'), /^Manager ?mira$/);
  await reads(about('due_date'), /^Due ?30 Jun 2026$/);
  await reads(panel(page, 'milestones').locator('.hero'), /^2 milestones reached$/);
  const milestones = panel(page, 'milestones').locator('li');
  await reads(milestones.nth(0), /^Steel frame\s*12 Mar 2026$/);
  await reads(milestones.nth(1), /^Foundations\s*20 Feb 2026$/);
  await reads(panel(page, 'tasks').locator('.hero'), /^1 task$/);
  const tasks = panel(page, 'tasks').locator('li');
  await reads(tasks.nth(0), /^Weld the frames\s*40\s*2 done, 2 in a row$/);
  await service.post(
    FIRM.id, status('P1', 'active', '2026-03-02T08:00:00Z'), reached('MS3', 'Roof', '2026-03-30'),
    hours('T6', 'ada', 'P2', '1', true, { task_id: 'sweep' }),
  );
  await reads(about('status'), /^Status ?Active$/);
  await reads(milestones.nth(0), /^Roof\s*30 Mar 2026$/);
  assert.equal(await tasks.count(), 1, 'a task of another project is not this one’s');
  await tasks.getByRole('link').click();
  await until('the routine is listed', async () => (await page.locator('dialog tbody tr').count()) === 1);
  await page.keyboard.press('Escape');
  await isClosed(page);
  assert.deepEqual(complaints, []);
  // Neither views nor events tell an executive of them.
  const executive = await open(t, '/projects/P1');
  await reads(title(executive.page), 'Terminal refit');
  await reads(figure(executive.page, 'profit'), /GBP$/);
  for (const name of ['milestones', 'tasks']) assert.equal(await panel(executive.page, name).count(), 0);
  assert.deepEqual(executive.complaints, []);
});

test('rows lead to it, also by a number of any letters, and it stands by itself', async (t) => {
  const { page, complaints } = await open(t, '/projects');
  const rows = page.locator('[data-drawer=rows] tbody tr');
  await until('three projects are listed', async () => new Set(await rows.locator('a').allTextContents()).size === 3);
  await rows.getByRole('link', { name: 'Oddly numbered' }).click();
  await reads(title(page), 'Oddly numbered');
  assert.equal(await page.locator('main').getAttribute('data-project'), ODD);
  await page.reload();
  await reads(title(page), 'Oddly numbered');
  await reads(panel(page, 'budget').locator('.body'), /No budget is in force/);
  await fact(page, 'money', 'revenue').locator('button').click();
  await reads(sheet(page).locator('h2'), 'Why is this 0.00?');
  await page.keyboard.press('Escape');
  await isClosed(page);
  assert.equal(await page.locator('main').getAttribute('data-project'), ODD);
  // Amounts of two currencies are shown one at a time.
  await page.goto(`${service.address}/projects/P2`);
  await reads(figure(page, 'revenue'), '7.00GBP');
  await page.getByLabel('Currency').selectOption('EUR');
  await reads(figure(page, 'revenue'), '300.00EUR');
  await reads(panel(page, 'unpaid').locator('li'), /^I8 · Nordlicht\s*300\.00/);
  assert.deepEqual(complaints, []);
});

test('what is not known yet says so, and comes when it is', async (t) => {
  const { page, complaints } = await open(t, '/projects/P404', { role: 'analyst' });
  await reads(page.locator('main .unknown'), /^Nothing is known of a project P404/);
  await service.post(FIRM.id, created('P404', 'Found again'));
  await reads(title(page), 'Found again');
  await reads(figure(page, 'revenue'), '0.00GBP');
  assert.deepEqual(complaints, []);
});

test('modules that the firm does not use have no section', async (t) => {
  const { page, complaints } = await open(t, '/projects/P1', { role: 'analyst', tenant: 'narrow' });
  await reads(title(page), 'Small works');
  await reads(figure(page, 'revenue'), '12.34GBP');
  await reads(panel(page, 'unpaid').locator('li'), /^I1 · Nordlicht\s*12\.34/);
  const panels = await page.locator('[data-panel]').evaluateAll((all) => all.map((one) => one.dataset.panel));
  assert.deepEqual(panels, ['money', 'milestones', 'unpaid']);
  const figures = await page.locator('[data-figure]').evaluateAll((all) => all.map((one) => one.dataset.figure));
  assert.deepEqual(figures, ['revenue', 'profit']);
  assert.equal(await page.getByRole('alert').count(), 0);
  assert.deepEqual(complaints, []);
});

test('it fits a phone, the dark and a sheet of paper', async (t) => {
  const { page, complaints } = await open(t, '/projects/P1', { role: 'analyst', width: 360, height: 740 });
  await page.emulateMedia({ colorScheme: 'dark', reducedMotion: 'reduce' });
  await reads(panel(page, 'work').locator('li').first(), /^mira/);
  await until('the chart is drawn', () => page.locator('canvas').count().then((n) => n > 0));
  const overflow = await page.evaluate(() => ({
    page: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    wide: [...document.querySelectorAll('main *')]
      .filter((e) => !e.closest('.unseen') && e.getBoundingClientRect().right > innerWidth + 1)
      .map((e) => e.className || e.tagName),
  }));
  assert.deepEqual(overflow, { page: 0, wide: [] });
  await page.setViewportSize({ width: 1280, height: 900 });
  const paper = await page.pdf({ preferCSSPageSize: true });
  const pages = paper.toString('latin1').match(/\/Type\s*\/Page\b(?!s)/g) ?? [];
  assert.equal(pages.length, 1, 'it fits one page');
  assert.deepEqual(complaints, []);
});

test('it says that the line is down, and recovers with the service', async (t) => {
  const { page, complaints } = await open(t, '/projects/P1', { role: 'analyst' });
  await reads(panel(page, 'work').locator('li').first(), /^mira/);
  const left = await textOf(figure(page, 'left'));
  await service.kill();
  await reads(page.locator('[data-link]'), /^Connection lost Figures are from \d\d:\d\d:\d\d/);
  await until('the figures fade', async () => /ageing|old/.test((await page.locator('main').getAttribute('class')) ?? ''));
  assert.equal(await textOf(figure(page, 'left')), left, 'what was there stays');
  await service.up();
  await reads(page.locator('[data-link]'), /^Live/);
  await service.post(FIRM.id, hours('T5', 'mira', 'P1', '0.5', true));
  await reads(panel(page, 'work').locator('li').first(), /^mira\s*40\.5/);
  await reads(panel(page, 'work').locator('.hero'), /^50\.8 hours/);
  const away = /ERR_CONNECTION|ERR_EMPTY_RESPONSE|WebSocket connection|status of 503/;
  assert.deepEqual(complaints.filter((text) => !away.test(text)), []);
});
