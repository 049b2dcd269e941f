// axe-core within a page. The page's policy lets in no script but its own, and is not weakened for this: what
// the browser's protocol evaluates is not under it.
import assert from 'node:assert/strict';
import axe from 'axe-core';

/** What keeps somebody from using the page, or makes it hard. */
const HEAVY = ['serious', 'critical'];

/** Fails with everything that is found, where it is, and what would mend it. */
export async function isAccessible(page, what) {
  if (!(await page.evaluate(() => 'axe' in window))) await page.evaluate(axe.source);
  // Style sheets are not fetched again, which needs elements that the policy refuses.
  const { violations, passes } = await page.evaluate(() => window.axe.run(document, { preload: false, resultTypes: ['violations'] }));
  assert.ok(passes.length > 5, `${what}: axe looked at too little`);
  const found = violations.filter(({ impact }) => HEAVY.includes(impact)).flatMap(({ id, impact, help, nodes }) =>
    nodes.map(({ target, html, failureSummary }) => `${impact} ${id}: ${help}\n  ${target.join(' ')}\n  ${html}\n  ${failureSummary}`));
  assert.equal(found.length, 0, `${what}:\n${found.join('\n\n')}`);
}
