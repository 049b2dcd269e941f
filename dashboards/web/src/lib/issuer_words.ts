/** Why a sign-in at the issuer came to nothing; both pages say it. */
export const issuing = {
  notBegun: 'it was not begun in this tab',
  issuerSays: (error: string) => `the issuer says ${error}`,
  serviceAnswers: (status: number) => `the service answers ${status}`,
};
