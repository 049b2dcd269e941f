// Alerts in the page: from an event to the bell, and from the bell to somebody who has seen them.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { hasFocus, launch, open, reads, tabTo } from './browser.js';
import { Service, tokenOf, until } from './service.js';

/** @type {Service} */
let service;
/** @type {import('playwright-core').Browser} */
let browser;

const firm = (id) => ({ id, name: 'Harbour & Finch', timezone: 'Europe/London', currency: 'GBP', clock: 'fixed:2026-03-31' });
const RULE = {
  title: 'A customer owes more than 10,000',
  sql: 'SELECT customer_id, currency, sum(balance) AS owed FROM open_invoices GROUP BY customer_id, currency HAVING sum(balance) > 10000',
  key: ['customer_id', 'currency'],
  severity: 'critical',
  roles: ['executive'],
};
const invoice = (id, customer, amount) => ['invoicing.invoice_issued', {
  invoice_id: id, customer_id: customer, issue_date: '2026-01-05', due_date: '2026-02-04', amount,
}];
const payment = (id, invoice_id, amount) =>
  ['invoicing.payment_received', { payment_id: id, invoice_id, amount, paid_on: '2026-03-30' }];
const budget = (amount, effective_date) =>
  ['governance.budget_set', { project_id: 'P1', amount, effective_date }];
const expense = (id, amount) =>
  ['governance.expense_recorded', { expense_id: id, project_id: 'P1', amount, spent_on: '2026-02-10' }];

before(async () => {
  service = await Service.start();
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await service?.stop();
});

/** A firm with the rule of an analyst about its customers. */
async function found(id) {
  await service.createTenant(firm(id));
  // A rule has the rights of who made it, so that must not be who looks at the page.
  await service.call('POST', '/v1/alert-rules', await tokenOf('ann', 'analyst', id), JSON.stringify(RULE));
}

/** The page of an executive. */
async function enter(t, id, { who = 'eve', ...size } = {}) {
  const opened = await open(t, browser, `${service.address}/#token=${await tokenOf(who, 'executive', id)}`, size);
  await reads(opened.page.locator('h1'), 'Harbour & Finch');
  await opened.page.evaluate(() => (window.standing = true));
  return opened;
}

/** The page of an executive who has looked, and nothing was open: what comes then is news. */
async function begin(t, id, size) {
  await found(id);
  const opened = await enter(t, id, size);
  await bell(opened.page).click();
  await reads(summary(opened.page), 'Nothing needs your attention.');
  await close(opened.page);
  return opened;
}

const bell = (page) => page.locator('button[aria-label^="Alerts:"]');
const notice = (page) => page.locator('[role=status] .notice');
const list = (page) => page.locator('[data-drawer=alerts]');
const summary = (page) => list(page).locator('header p');
const listed = (page) => list(page).locator('li');
const button = (page, name) => list(page).getByRole('button', { name });
const isGone = (what, locator) => until(`${what} is gone`, async () => (await locator.count()) === 0);

async function close(page) {
  await page.keyboard.press('Escape');
  await isGone('the list', list(page));
}

const span = (page, name) => list(page).getByRole('menuitem', { name });

/** Waits until the focus is there. */
const isAt = (locator) =>
  until(`the focus is at ${locator}`, async () => (await locator.count()) === 1 && hasFocus(locator));

/** All alerts that there ever were, as an executive reads them. */
async function fired(id) {
  const { alerts } = await service.call('GET', '/v1/alerts?state=all', await tokenOf('eve', 'executive', id));
  return alerts;
}

async function historyOf(id, alert) {
  const { history } = await service.call('GET', `/v1/alerts/${alert.id}`, await tokenOf('eve', 'executive', id));
  return history.map(({ kind, by }) => (by === null ? kind : `${kind} by ${by}`));
}

async function standsStill(page, complaints) {
  assert.equal(await page.evaluate(() => window.standing), true, 'the page was not loaded again');
  assert.deepEqual(complaints, []);
}

test('what becomes true is counted, said and listed while the page is open, and leaves it again', async (t) => {
  const { page, complaints } = await begin(t, 'fired');
  assert.equal(await bell(page).getAttribute('aria-label'), 'Alerts: none is open');
  await service.post('fired', invoice('B1', 'Bluewater', '9000'), invoice('N1', 'Nordlicht', '12000.50'));
  await reads(bell(page), '1');
  assert.equal(await bell(page).getAttribute('aria-label'), 'Alerts: 1 open');
  assert.match(await bell(page).locator('.count').getAttribute('class') ?? '', /\bcritical\b/);
  await reads(notice(page), /^A customer owes more than 10,000.*Customer Nordlicht.*Show.*Dismiss$/);
  await notice(page).getByRole('button', { name: 'Show' }).click();
  await reads(summary(page), '1 open');
  await reads(listed(page), /^A customer owes more than 10,000.*Critical, .*(now|ago).*Customer Nordlicht · Currency GBP.*owed 12,000\.50 GBP/);
  assert.equal(await notice(page).count(), 0, 'who looks need not be told');
  // The list follows what comes, the newest first, …
  await service.post('fired', invoice('B2', 'Bluewater', '2000'));
  await reads(summary(page), '2 open');
  await reads(listed(page).first(), /Customer Bluewater/);
  await reads(listed(page).nth(1), /Customer Nordlicht/);
  // … and what goes.
  await service.post('fired', payment('P1', 'N1', '2000.50'));
  await reads(summary(page), '1 open');
  await reads(listed(page), /Customer Bluewater/);
  await service.post('fired', ['invoicing.invoice_voided', { invoice_id: 'B1' }]);
  await reads(summary(page), 'Nothing needs your attention.');
  assert.equal(await listed(page).count(), 0);
  await close(page);
  await reads(bell(page), '');
  // A notice of something that is over before anybody has looked goes by itself.
  await service.post('fired', invoice('N2', 'Nordlicht', '0.01'));
  await reads(notice(page), /Customer Nordlicht/);
  await service.post('fired', payment('P2', 'N2', '0.01'));
  await isGone('the notice', notice(page));
  await reads(bell(page), '');
  const [, , first] = await fired('fired');
  assert.deepEqual(await historyOf('fired', first), ['fired', 'cleared']);
  assert.equal((await fired('fired')).length, 3);
  await standsStill(page, complaints);
});

test('by keys alone an alert is acknowledged, snoozed and woken, for everybody who sees it', async (t) => {
  await found('keys');
  await service.post('keys', invoice('N1', 'Nordlicht', '12000'));
  const { page, complaints } = await enter(t, 'keys');
  await reads(bell(page), '1');
  const { page: other, complaints: otherComplaints } = await enter(t, 'keys', { who: 'kim' });
  await reads(bell(other), '1');
  assert.equal(await notice(other).count(), 0, 'what was there before is no news');
  await bell(other).click();
  await reads(summary(other), '1 open');

  await tabTo(page, bell(page));
  await page.keyboard.press('Enter');
  await reads(summary(page), '1 open');
  await tabTo(page, button(page, 'Acknowledge'));
  await page.keyboard.press('Enter');
  for (const each of [page, other]) {
    await reads(listed(each), /Seen by eve/);
    await isGone('what is done', button(each, 'Acknowledge'));
    await reads(bell(each), '1');
  }
  await tabTo(page, button(page, 'Snooze'));
  await page.keyboard.press('Enter');
  await isAt(span(page, '1 hour'));
  for (const [key, name] of [
    ['ArrowDown', '1 day'], ['Tab', '1 week'], ['ArrowDown', '1 hour'], ['ArrowUp', '1 week'],
    ['Home', '1 hour'], ['End', '1 week'], ['Shift+Tab', '1 day'],
  ]) {
    await page.keyboard.press(key);
    await isAt(span(page, name));
  }
  // Escape closes the menu and nothing else, and nothing is chosen.
  await page.keyboard.press('Escape');
  await isGone('the menu', list(page).getByRole('menu'));
  await isAt(button(page, 'Snooze'));
  await reads(summary(page), '1 open');
  const [kept] = await fired('keys');
  assert.equal(kept.snoozed_until, null);
  await page.keyboard.press('Enter');
  await isAt(span(page, '1 hour'));
  await page.keyboard.press('ArrowDown');
  await isAt(span(page, '1 day'));
  await page.keyboard.press('Enter');
  for (const each of [page, other]) {
    await reads(listed(each), /Snoozed until \d.*Wake$/);
    await reads(summary(each), '1 open');
    await reads(bell(each), '');
  }
  const [snoozed] = await fired('keys');
  const { history } = await service.call('GET', `/v1/alerts/${snoozed.id}`, await tokenOf('eve', 'executive', 'keys'));
  const { at, snoozed_until } = history.at(-1);
  assert.equal(Math.round((Date.parse(snoozed_until) - Date.parse(at)) / 3_600_000), 24, 'the second span');
  // What was pressed is what wakes it.
  await isAt(button(page, 'Wake'));
  await page.keyboard.press('Enter');
  for (const each of [page, other]) {
    await isGone('what is done', button(each, 'Wake'));
    await reads(bell(each), '1');
  }
  await close(page);
  await until('the bell has the focus again', () => hasFocus(bell(page)));
  const [alert] = await fired('keys');
  assert.deepEqual(await historyOf('keys', alert), ['fired', 'acknowledged by eve', 'snoozed by eve', 'woken by eve']);
  await standsStill(page, complaints);
  await standsStill(other, otherComplaints);
});

test('killed as something becomes true, the service has it fire once, and an open page counts it', async (t) => {
  const { page, complaints } = await begin(t, 'killed');
  await service.post('killed', invoice('N1', 'Nordlicht', '12000'));
  await reads(bell(page), '1');
  const [seen] = await fired('killed');
  await service.call('POST', `/v1/alerts/${seen.id}/acknowledge`, await tokenOf('eve', 'executive', 'killed'));
  // It is acknowledged as an event; whether its alert has fired by then is left open.
  await service.post('killed', invoice('B1', 'Bluewater', '15000'));
  await service.kill();
  await reads(page.locator('[data-link]'), /^Connection lost/);
  assert.match(await bell(page).textContent() ?? '', /[12]/, 'what was known stays');
  await service.up();
  // Perhaps before the page is back.
  await service.post('killed', invoice('D1', 'Delta', '16000'));
  await reads(page.locator('[data-link]'), /^Live/);
  await reads(bell(page), '3');
  await bell(page).click();
  await reads(summary(page), '3 open');
  await reads(listed(page).filter({ hasText: 'Nordlicht' }), /Seen by eve/);
  // The rule has been evaluated again since, and each has fired once.
  const all = await fired('killed');
  const customers = all.map(({ subject }) => subject.customer_id);
  assert.deepEqual(customers.toSorted(), ['Bluewater', 'Delta', 'Nordlicht']);
  for (const alert of all) {
    const expected = alert.id === seen.id ? ['fired', 'acknowledged by eve'] : ['fired'];
    assert.deepEqual(await historyOf('killed', alert), expected);
  }
  // What fired before the kill clears after it.
  await service.post('killed', payment('P1', 'N1', '2000'));
  await reads(summary(page), '2 open');
  await reads(bell(page), '2');
  assert.equal(await listed(page).filter({ hasText: 'Nordlicht' }).count(), 0);
  // What the browser itself notes of calls that could not be made, or came while the service was not ready.
  const away = /ERR_CONNECTION|ERR_EMPTY_RESPONSE|WebSocket connection|status of 503/;
  await standsStill(page, complaints.filter((text) => !away.test(text)));
});

test('a project beyond its budget is told of by the rule that every firm has', async (t) => {
  const { page, complaints } = await begin(t, 'budget');
  await service.post(
    'budget', ['projects.project_created', { project_id: 'P1', name: 'Terminal refit' }],
    budget('500', '2026-01-01'), expense('X1', '500'),
  );
  await service.post('budget', expense('X2', '120.40'));
  await reads(bell(page), '1');
  assert.match(await bell(page).locator('.count').getAttribute('class') ?? '', /\bwarning\b/);
  await reads(notice(page), /^Budget exceeded.*Project P1/);
  await notice(page).getByRole('button', { name: 'Dismiss' }).click();
  await isGone('the notice', notice(page));
  await reads(bell(page), '1');
  await bell(page).click();
  await reads(listed(page), /^Budget exceeded.*Warning, .*Project P1/);
  await reads(listed(page), /Currency GBP.*Budget 500\.00 GBP · Spent 620\.40 GBP · Variance −120\.40 GBP · Used 124\.08% · Exceeded yes/);
  const [alert] = await fired('budget');
  assert.equal(alert.rule, 'budget-exceeded');
  // All of a budget may be spent: it fired with what went beyond.
  assert.equal(alert.details.spent, '620.4000');
  await service.post('budget', budget('620.40', '2026-02-01'));
  await reads(summary(page), 'Nothing needs your attention.');
  await reads(bell(page), '');
  assert.equal((await fired('budget')).length, 1);
  await standsStill(page, complaints);
});

/** What reaches beyond the sides of the page. */
const beyond = (page) => page.evaluate(() => ({
  page: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  list: [...document.querySelectorAll('[data-drawer=alerts] .scroll')].map((e) => e.scrollWidth - e.clientWidth),
  wide: [...document.querySelectorAll('header *, .notice, .notice *, [data-drawer=alerts] *')]
    .filter((e) => {
      const { left, right } = e.getBoundingClientRect();
      return !e.closest('.unseen') && (left < -1 || right > innerWidth + 1);
    })
    .map((e) => e.outerHTML),
}));

test('bell, notice and list fit a phone', async (t) => {
  const { page, complaints } = await begin(t, 'phone', { width: 360, height: 740 });
  const customer = 'NordlichtMaschinenbauUndAnlagentechnikBeteiligungsgesellschaft';
  await service.post('phone', invoice('N1', customer, '1234567.89'));
  await reads(bell(page), '1');
  await reads(notice(page), new RegExp(`Customer ${customer}`));
  assert.deepEqual(await beyond(page), { page: 0, list: [], wide: [] });
  await notice(page).getByRole('button', { name: 'Show' }).click();
  await reads(listed(page), /Acknowledge/);
  // It has come in from the side.
  await page.waitForFunction(() => {
    const moving = document.querySelector('[data-drawer=alerts]').getAnimations({ subtree: true });
    return moving.every((one) => one.playState === 'finished' || one.effect.getTiming().iterations === Infinity);
  });
  assert.deepEqual(await beyond(page), { page: 0, list: [0], wide: [] });
  await button(page, 'Snooze').click();
  await span(page, '1 week').waitFor();
  assert.deepEqual(await beyond(page), { page: 0, list: [0], wide: [] });
  await span(page, '1 week').click();
  await reads(listed(page), /Snoozed until \d.*Wake$/);
  assert.deepEqual(await beyond(page), { page: 0, list: [0], wide: [] });
  await close(page);
  await reads(bell(page), '');
  await standsStill(page, complaints);
});
