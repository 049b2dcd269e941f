/** What is asked when a link brings a token; both pages ask it. */
export const linkOffer = {
  title: 'Sign in by this link?',
  who: (subject: string, tenant: string | undefined) =>
    tenant === undefined ? `It signs you in as ${subject}.` : `It signs you in to ${tenant} as ${subject}.`,
  ends: (subject: string) => `You are signed in as ${subject || 'somebody else'} in this tab, which ends then.`,
  doubt: 'If you did not ask for such a link, do not use it: the figures you would see are of whoever sent it.',
  take: 'Sign in',
  stay: 'Stay signed in',
  close: 'Close',
};
