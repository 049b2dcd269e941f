/** What is said of signing in by an issuer, and why it came to nothing; both pages say it. */
export const issuing = {
  byIssuer: (host: string) => `Sign in with ${host}`,
  returning: 'Signing you in…',
  failed: (why: string) => `The sign-in did not work: ${why.replace(/[.\s]+$/, '')}.`,
  insecure: 'this address is not secure; open the page by HTTPS',
  notBegun: 'it was not begun in this tab',
  issuerSays: (error: string) => `the issuer says ${error}`,
  serviceAnswers: (status: number) => `the service answers ${status}`,
};
