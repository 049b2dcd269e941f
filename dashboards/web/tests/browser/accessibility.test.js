// Every page, and what opens over it, as axe-core sees it: nothing that is serious or worse.
import { after, before, test } from 'node:test';
import { isAccessible } from './axe.js';
import { launch, open as openPage, reads } from './browser.js';
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
  await service.createTenant({ id: 'fresh', name: 'Fresh Start', timezone: 'UTC', currency: 'USD', clock: 'wall' });
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await service?.stop();
});

async function open(t, path, { role = 'executive', tenant = FIRM.id, ...look } = {}) {
  const token = await tokenOf(`${role}-of-${tenant}`, role, tenant);
  const { page } = await openPage(t, browser, `${service.address}${path}#token=${token}`, look);
  await reads(page.locator('[data-link]').first(), /^Live/);
  return page;
}

const isThere = (what, locator, n = 1) => until(`${what} is there`, async () => (await locator.count()) >= n);
const isGone = (what, locator) => until(`${what} is gone`, async () => (await locator.count()) === 0);
const drawer = (page, name) => page.locator(`[data-drawer=${name}]`);
const close = async (page, name) => {
  await page.keyboard.press('Escape');
  await isGone(name, drawer(page, name));
};

/** Waits until all widgets of a dashboard show what they have. */
async function isShown(page, canvases) {
  await isThere('the dashboard', page.locator('.widget'), 10);
  await until('all is shown', async () => (await page.locator('.widget [aria-busy=true]').count()) === 0);
  await isThere('what is drawn', page.locator('.widget canvas'), canvases);
}

const LOOKS = [
  ['by day', { colorScheme: 'light' }], ['by night', { colorScheme: 'dark' }],
  ['on a phone', { width: 360, height: 740 }],
];

for (const [when, look] of LOOKS) {
  test(`the sign-in ${when}`, async (t) => {
    const { page } = await openPage(t, browser, service.address, look);
    const field = page.getByLabel('Access token');
    await field.fill('hello');
    await field.press('Enter');
    await reads(page.getByRole('alert'), /not an access token/);
    await isAccessible(page, 'the sign-in');
    // A link that would sign in somebody else is asked about.
    await page.goto(`${service.address}/#token=${await tokenOf('ann', 'executive', FIRM.id)}`);
    await reads(page.locator('h1'), FIRM.name);
    await page.goto(`${service.address}/#token=${await tokenOf('ben', 'executive', FIRM.id)}`);
    await isThere('the question', page.getByRole('dialog'));
    await isAccessible(page, 'the question of a link');
  });

  test(`the overview ${when}, its rows, their events, and the alerts`, async (t) => {
    const page = await open(t, '/', look);
    await isThere('what is drawn', page.locator('canvas'), 2);
    await isAccessible(page, 'the overview');
    await page.locator('[data-panel=debtors] header a').click();
    const rows = drawer(page, 'rows');
    await isThere('rows', rows.locator('tbody tr'), 10);
    await isAccessible(page, 'the rows');
    await rows.locator('td[data-column=total] button').first().click();
    await isThere('the sum of the events', drawer(page, 'why').locator('[data-agrees]'));
    await isAccessible(page, 'the events behind a figure');
    await close(page, 'why');
    await close(page, 'rows');
    await page.locator('button[aria-label^="Alerts:"]').click();
    const alerts = drawer(page, 'alerts');
    await isThere('an alert', alerts.locator('li'));
    await alerts.getByRole('button', { name: 'Snooze' }).first().click();
    await isThere('the menu', alerts.getByRole('menu'));
    await isAccessible(page, 'the alerts');
  });

  test(`projects ${when}: all of them, and one`, async (t) => {
    const page = await open(t, '/work', look);
    await isThere('somebody who worked', page.locator('[data-panel=utilization] li'));
    await isThere('a budget', page.locator('[data-panel=budgets] li'));
    await isAccessible(page, 'the projects');
    for (const role of ['executive', 'analyst']) {
      const one = await open(t, '/projects/P1', { role, ...look });
      await isThere('what is drawn', one.locator('canvas'));
      await isGone('what is loading', one.locator('[role=status].bones'));
      await isAccessible(one, `a project for the role ${role}`);
    }
  });

  test(`dashboards ${when}: the list, each kind of widget, its menu, and what it is made of`, async (t) => {
    const page = await open(t, '/dashboards', look);
    await isThere('the list', page.locator('[data-dashboard]'), 2);
    await isAccessible(page, 'the list');
    const board = await open(t, `/dashboards/${made.board}`, { role: 'analyst', ...look });
    await isShown(board, 9);
    await isAccessible(board, 'each kind of widget');
    await board.getByRole('button', { name: 'What can be done with Debtors', exact: true }).click();
    await isAccessible(board, 'what can be done with a widget');
    await board.locator('.menu .list').getByText('Show as table').click();
    await isThere('the table', board.locator('[data-widget=bar] table'));
    await isAccessible(board, 'a chart as a table');
    await board.locator('[data-widget=kpi] p.figure a').first().click();
    await isThere('rows', drawer(board, 'rows').locator('tbody tr'));
    await isAccessible(board, 'the rows of a widget');
    const refused = await open(t, `/dashboards/${made.board}`, look);
    await isShown(refused, 9);
    await reads(refused.locator('[data-widget=sql] .note'), /for analysts and admins/);
    await isAccessible(refused, 'each kind of widget, for an executive');
  });

  test(`a dashboard is changed ${when}: its forms, dialogs and versions`, async (t) => {
    const page = await open(t, `/dashboards/${made.board}/edit`, { role: 'analyst', ...look });
    await isThere('the grid', page.locator('[data-take]'), 10);
    await isAccessible(page, 'the grid');
    await page.getByRole('button', { name: 'Add a widget' }).click();
    await isAccessible(page, 'the form of a new widget');
    await page.getByRole('button', { name: 'Filters and more' }).click();
    await isAccessible(page, 'the form of the dashboard');
    await page.getByRole('button', { name: 'Close the form' }).click();
    for (const id of ['kpi', 'bar', 'funnel', 'table', 'gauge', 'text', 'sql']) {
      // On a phone the form of another one may lie over it.
      await page.locator(`[data-take="${id}"]`).focus();
      await page.keyboard.press('Enter');
      await isThere('the form', page.getByLabel('Title', { exact: true }));
      if (id === 'sql') await isThere('the editor', page.locator('[data-editor=ready]'));
      await isAccessible(page, `the form of ${id}`);
      await page.keyboard.press('Escape');
      const shut = page.getByRole('button', { name: 'Close the form' });
      if ((await shut.count()) > 0) await shut.click();
    }
    await page.getByRole('button', { name: 'Delete', exact: true }).click();
    await isAccessible(page, 'the question before it is deleted');
    await page.getByRole('button', { name: 'Keep it' }).click();
    const versions = await open(t, `/dashboards/${made.board}/versions`, { role: 'analyst', ...look });
    await versions.locator('[data-version="1"]').click();
    await isShown(versions, 9);
    await isAccessible(versions, 'the versions');
  });

  test(`SQL ${when}: the catalog, a result, a chart, an error, a dialog`, async (t) => {
    const page = await open(t, '/sql', { role: 'analyst', ...look });
    await isThere('the editor', page.locator('[data-editor=ready]'));
    const run = async (sql) => {
      await page.getByRole('textbox', { name: 'SQL' }).click();
      await page.keyboard.press('Control+a');
      await page.keyboard.press('Delete');
      await page.keyboard.insertText(sql);
      await page.keyboard.press('Control+Enter');
    };
    await isAccessible(page, 'an empty editor');
    await run('SELECT customer_id, total, total AS again FROM ar_aging');
    await isThere('rows', page.getByRole('grid').locator('tbody tr'), 10);
    await page.getByRole('grid').focus();
    await page.keyboard.press('Control+End');
    await page.keyboard.press('Enter');
    await isAccessible(page, 'a result with one value whole');
    await page.getByRole('button', { name: 'Chart', exact: true }).click();
    await isThere('what is drawn', page.locator('.result canvas'));
    await isAccessible(page, 'a result as a chart');
    await run('SELECT nothing FROM ar_aging');
    await reads(page.locator('.problem'), /nothing/);
    await isAccessible(page, 'an error');
    await run('SELECT invoice_id FROM open_invoices WHERE balance > $1');
    await isThere('its parameter', page.getByLabel('Value of $1'));
    await isAccessible(page, 'a query with a parameter');
    await page.getByRole('button', { name: 'Save', exact: true }).click();
    await isAccessible(page, 'the name of a query');
  });

  test(`reports ${when}: the list, one with a run, its form, the question before it goes`, async (t) => {
    const list = await open(t, '/reports', { role: 'analyst', ...look });
    await isThere('the list', list.locator('tbody tr'), 1);
    await isAccessible(list, 'the list');
    const page = await open(t, `/reports/${made.report}`, { role: 'analyst', ...look });
    await page.getByRole('button', { name: 'Run', exact: true }).click();
    await isThere('a run', page.locator('[data-run=done]'));
    await isAccessible(page, 'a report with a run');
    await page.getByRole('button', { name: 'Delete', exact: true }).click();
    await isAccessible(page, 'the question before it goes');
    const form = await open(t, `/reports/${made.report}/edit`, { role: 'analyst', ...look });
    await isThere('the editor', form.locator('[data-editor=ready]'));
    await form.getByRole('button', { name: 'Add a place' }).click();
    await isAccessible(form, 'the form');
  });

  test(`settings ${when}`, async (t) => {
    const page = await open(t, '/settings', { role: 'admin', ...look });
    await isThere('the form', page.getByLabel('Name on the page'));
    await page.getByLabel('Colour by day', { exact: true }).fill('#ffcc00');
    await isThere('the doubt', page.locator('.doubt'));
    await isAccessible(page, 'settings');
  });

  test(`the platform ${when}`, async (t) => {
    const { page } = await openPage(t, browser, `${service.address}/platform`, look);
    await isThere('the field', page.getByLabel('Operator token'));
    await isAccessible(page, 'its sign-in');
    await page.goto(`${service.address}/platform#token=${await service.token('platform')}`);
    await isThere('the tenants', page.locator('tbody tr'), 2);
    await page.locator('tbody button').first().click();
    await isThere('its details', page.locator('aside'));
    await isAccessible(page, 'all tenants');
  });
}

test('a firm without figures, a wall, and what is for others', async (t) => {
  const fresh = await open(t, '/', { tenant: 'fresh' });
  await reads(fresh.locator('[data-panel=aging] .body'), /shows here/);
  await isAccessible(fresh, 'a firm without figures');
  const wall = await open(t, '/dashboards?rotate=3600');
  await isThere('a dashboard', wall.locator('.widget'));
  await isAccessible(wall, 'a wall');
  for (const path of ['/sql', '/reports', '/settings', '/dashboards/nothing', '/projects/nothing']) {
    const page = await open(t, path);
    await isThere('what is said', page.locator('main p'));
    await isAccessible(page, `${path} for an executive`);
  }
});

test('a dashboard that two have changed, side by side', async (t) => {
  const token = await tokenOf('bob', 'analyst', FIRM.id);
  const text = (title) => ({ schema: 1, filters: [], widgets: [{ id: 'a', title, at: { x: 0, y: 0, w: 6, h: 3 }, show: { kind: 'text', text: 'Words' } }] });
  const { id } = await service.call('POST', '/v1/dashboards', token, JSON.stringify({ name: 'Shared', document: text('First') }));
  const page = await open(t, `/dashboards/${id}/edit`, { role: 'analyst' });
  await page.locator('[data-take=a]').click();
  await page.getByLabel('Title', { exact: true }).fill('Mine');
  const response = await fetch(`${service.address}/v1/dashboards/${id}`, {
    method: 'PUT', body: JSON.stringify({ name: 'Shared', document: text('Theirs') }),
    headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json', 'If-Match': '"1"' },
  });
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
  await page.getByRole('button', { name: 'Save', exact: true }).click();
  await isThere('the question', page.getByRole('dialog'));
  await isAccessible(page, 'what both have changed');
  await page.getByRole('button', { name: 'Look at both' }).click();
  await isThere('both of them', page.getByRole('dialog').locator('[data-widget]'), 2);
  await isAccessible(page, 'both of them');
});
