/** What a token says about itself. The server alone decides whether it holds. */

export interface Claims {
  subject: string;
  tenant: string | undefined;
  roles: string[];
  /** Milliseconds of the epoch. */
  expiresAt: number | undefined;
}

/** Reads the claims of a JSON Web Token; null for what is not one. */
export function readClaims(token: string): Claims | null {
  const parts = token.split('.');
  const body = parts[1];
  if (parts.length !== 3 || body === undefined) return null;
  try {
    const bytes = Uint8Array.from(
      atob(body.replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0),
    );
    const claims: unknown = JSON.parse(new TextDecoder().decode(bytes));
    if (typeof claims !== 'object' || claims === null) return null;
    return fromClaims(claims as Record<string, unknown>);
  } catch {
    // Not base64 or not JSON: not a token.
    return null;
  }
}

function fromClaims(claims: Record<string, unknown>): Claims {
  return {
    subject: typeof claims['sub'] === 'string' ? claims['sub'] : '',
    tenant: typeof claims['tenant'] === 'string' ? claims['tenant'] : undefined,
    roles: Array.isArray(claims['roles']) ? claims['roles'].map(String) : [],
    expiresAt: typeof claims['exp'] === 'number' ? claims['exp'] * 1000 : undefined,
  };
}

const READERS = new Set(['executive', 'analyst', 'admin']);

/** Whether one of the roles may read figures. */
export function mayRead(claims: Claims): boolean {
  return claims.roles.some((role) => READERS.has(role));
}

const ANALYSTS = new Set(['analyst', 'admin']);

/** Whether one of the roles may ask in SQL and make reports; null where the token names no known role. */
export function mayAnalyse(claims: Claims | null): boolean | null {
  if (claims === null || !mayRead(claims)) return null;
  return claims.roles.some((role) => ANALYSTS.has(role));
}

/** Whether one of the roles may change the firm's settings; null where the token names no known role. */
export function mayAdminister(claims: Claims | null): boolean | null {
  if (claims === null || !mayRead(claims)) return null;
  return claims.roles.includes('admin');
}

/** Takes the token out of an address such as `/#token=…`; null when there is none. */
export function tokenInFragment(fragment: string): string | null {
  const token = new URLSearchParams(fragment.replace(/^#/, '')).get('token');
  return token === null || token === '' ? null : token;
}

/** Whether a host is this machine, which no link from elsewhere leads to but by its owner's doing. */
export function isOwnMachine(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || /^127(\.\d{1,3}){3}$/.test(host);
}
