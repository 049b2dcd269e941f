// What each role finds when it comes, what it is offered, and what it is not.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { figure, launch, open as openPage, reads, textOf } from './browser.js';
import { FIRM, furnish } from './firm.js';
import { Service, tokenOf, until } from './service.js';

/** @type {Service} */
let service;
/** @type {import('playwright-core').Browser} */
let browser;
/** The ids of what the firm's people have made. */
let made;

before(async () => {
  service = await Service.start();
  made = await furnish(service);
  // Only what it buys and sells.
  await service.createTenant({ ...FIRM, id: 'trade', name: 'Trade', modules: ['invoicing', 'purchasing'] });
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await service?.stop();
});

const at = (path) => `${service.address}${path}`;

async function open(t, path, role, { who = role, tenant = FIRM.id, ...size } = {}) {
  const opened = await openPage(t, browser, `${at(path)}#token=${await tokenOf(who, role, tenant)}`, size);
  await opened.page.locator('header nav').waitFor();
  return opened;
}

const links = async (page) => (await page.getByRole('navigation', { name: 'Pages' }).getByRole('link').allTextContents())
  .map((name) => name.replace(/\..*/, '').trim());
const offers = (page, names) =>
  until(`${names} are offered`, async () => JSON.stringify(await links(page)) === JSON.stringify(names), 20);
const count = (page, role, name) => page.getByRole(role, { name, exact: true }).count();
const begin = (page) => page.getByRole('button', { name: 'Open first' });
const isListed = (page) => until('dashboards are listed', async () => (await page.locator('[data-dashboard]').count()) > 1);

/** What the service refused to one who only looked at what the page offers. */
function refusals(page) {
  const found = [];
  page.on('response', (response) => {
    if (response.status() === 401 || response.status() === 403) found.push(`${response.status()} ${response.url()}`);
  });
  return found;
}

test('an executive comes to the portfolio, and is offered nothing that is not for executives', async (t) => {
  const { page, complaints } = await open(t, '/', 'executive');
  const refused = refusals(page);
  await reads(figure(page, 'receivables'), /GBP$/);
  assert.equal(page.url(), at('/'));
  await offers(page, ['Overview', 'Projects', 'Dashboards']);
  await page.getByRole('link', { name: 'Dashboards', exact: true }).click();
  await isListed(page);
  assert.equal(await count(page, 'button', 'New dashboard'), 0);
  await page.locator(`[data-dashboard="${made.board}"]`).click();
  await reads(page.locator('[data-widget=sql] .note'), /for analysts and admins/);
  assert.equal(await count(page, 'link', 'Edit'), 0);
  // A widget made with SQL leads nowhere, the others to their rows.
  assert.equal(await count(page, 'button', 'What can be done with Asked'), 0);
  await page.getByRole('button', { name: 'What can be done with Debtors', exact: true }).click();
  assert.equal(await count(page, 'link', 'Show rows'), 1);
  await page.keyboard.press('Escape');
  await page.getByRole('link', { name: 'Versions', exact: true }).click();
  await page.locator('[data-version="1"]').click();
  await until('the version is shown', async () => (await page.locator('[data-board] .widget').count()) > 5);
  assert.equal(await page.getByRole('button', { name: /^Make it version/ }).count(), 0);
  assert.deepEqual(refused, []);
  assert.deepEqual(complaints, []);
  // What somebody types in is not there for them either.
  for (const [path, sentence] of [['/sql', /for analysts and admins/], ['/reports', /for analysts and admins/], ['/settings', /for admins/]]) {
    await page.goto(at(path));
    await reads(page.locator('main'), sentence);
  }
  await page.goto(at(`/dashboards/${made.board}/edit`));
  await reads(page.locator('main'), /changed by analysts and admins/);
});

test('whoever manages projects finds them, their budgets and the utilization, and has that open first', async (t) => {
  const { page, complaints } = await open(t, '/', 'executive', { who: 'mia' });
  await page.getByRole('navigation').getByRole('link', { name: 'Projects', exact: true }).click();
  const budgets = page.locator('[data-panel=budgets]');
  await reads(budgets.locator('.hero'), /^1 budget exceeded ?\d+% of all of them used$/);
  await reads(budgets.locator('li').first(), /^Warehouse roof −70 ?109% used$/);
  await reads(budgets.locator('li').nth(1), /^Terminal refit/);
  const people = page.locator('[data-panel=utilization]');
  await reads(people.locator('[data-utilization]'), '75%');
  await reads(people.locator('li').first(), /^mira 30\.0 ?75% of 40 h$/);
  await reads(people.locator('li').nth(1), /^ada 12\.0 ?weekly hours not known$/);
  await people.getByLabel('Week of').selectOption('2026-03-16');
  await reads(people.locator('[data-utilization]'), '50%');
  await until('the projects are drawn', async () => (await page.locator('[data-panel=projects] canvas').count()) > 0);
  // Figures lead to their events and rows, over this page, and back to it.
  await people.locator('li').first().getByRole('button').click();
  await reads(page.locator('[data-drawer=why] h2'), 'Why is this 20?');
  await reads(page.locator('[data-drawer=why] [data-agrees]'), /the same as the figure\.$/);
  await page.keyboard.press('Escape');
  await until('it is closed', async () => (await page.locator('dialog').count()) === 0);
  await budgets.locator('header a').click();
  await until('both budgets are listed', async () => (await page.locator('[data-drawer=rows] tbody tr').count()) === 2);
  assert.equal(await budgets.count(), 1, 'the page stands beneath');
  await page.keyboard.press('Escape');
  await until('it is closed', async () => (await page.locator('dialog').count()) === 0);
  assert.equal(page.url(), at('/work'));
  // What changes shows.
  await service.post(FIRM.id, ['governance.expense_recorded', { expense_id: 'X9', project_id: 'P2', amount: '30', spent_on: '2026-03-01' }]);
  await reads(budgets.locator('li').first(), /^Warehouse roof −100/);
  await begin(page).click();
  assert.equal(await begin(page).getAttribute('aria-pressed'), 'true');
  await page.goto(at('/'));
  await until('it opens first', () => page.url() === at('/work'));
  await reads(budgets.locator('li').first(), /^Warehouse roof/);
  // Who goes to the overview is there, and stays there; an address leads where it says.
  await page.getByRole('navigation').getByRole('link', { name: 'Overview' }).click();
  await reads(figure(page, 'receivables'), /GBP$/);
  await page.reload();
  await reads(figure(page, 'receivables'), /GBP$/);
  assert.equal(page.url(), at('/'));
  await page.goto(at('/projects/P1'));
  await reads(page.locator('main h2').first(), 'Terminal refit');
  assert.deepEqual(complaints, []);
  // The choice is nobody else's.
  const other = await open(t, '/', 'executive', { who: 'eve' });
  await reads(figure(other.page, 'receivables'), /GBP$/);
  assert.equal(other.page.url(), at('/'));
});

test('an analyst comes to the workbench, and may begin elsewhere', async (t) => {
  const token = await tokenOf('ann', 'analyst', FIRM.id);
  const { page, complaints } = await openPage(t, browser, at(`/#token=${token}`));
  await until('the editor is there', async () => (await page.locator('[data-editor=ready]').count()) === 1);
  assert.equal(page.url(), at('/sql'));
  await offers(page, ['Overview', 'Projects', 'Dashboards', 'SQL', 'Reports']);
  assert.equal(await begin(page).count(), 0, 'SQL opens first as it is');
  await page.getByRole('link', { name: 'Dashboards', exact: true }).click();
  await isListed(page);
  assert.equal(await count(page, 'button', 'New dashboard'), 1);
  await page.getByRole('navigation').getByRole('link', { name: 'Overview' }).click();
  await reads(figure(page, 'receivables'), /GBP$/);
  await begin(page).click();
  await page.goto(at('/'));
  await reads(figure(page, 'receivables'), /GBP$/);
  assert.equal(page.url(), at('/'));
  await begin(page).click();
  await until('it is chosen no more', async () => (await begin(page).getAttribute('aria-pressed')) === 'false');
  // To come to the address that one is at is to read it again, which leads nowhere else.
  await page.goto('about:blank');
  await page.goto(at('/'));
  await until('SQL opens first again', () => page.url() === at('/sql'));
  assert.deepEqual(complaints, []);
  await page.goto(at('/settings'));
  await reads(page.locator('main'), /for admins/);
});

test('an admin comes to the portfolio and is offered everything', async (t) => {
  const { page, complaints } = await open(t, '/', 'admin');
  await reads(figure(page, 'receivables'), /GBP$/);
  assert.equal(page.url(), at('/'));
  await offers(page, ['Overview', 'Projects', 'Dashboards', 'SQL', 'Reports', 'Settings']);
  assert.deepEqual(complaints, []);
});

test('a page of modules that the firm does not use is not offered', async (t) => {
  const { page, complaints } = await open(t, '/', 'executive', { tenant: 'trade' });
  await reads(figure(page, 'receivables'), /GBP$/);
  await offers(page, ['Overview', 'Dashboards']);
  assert.deepEqual(complaints, []);
});

test('producers and operators are not let in, each with a sentence', async (t) => {
  const { page } = await openPage(t, browser, at('/'));
  const field = page.getByLabel('Access token');
  for (const token of [await service.token('service', FIRM.id), await service.token('platform')]) {
    await field.fill(token);
    await field.press('Enter');
    await reads(page.getByRole('alert'), /may not read figures/);
    assert.equal(await textOf(page.locator('h1')), 'Sign in');
  }
});
