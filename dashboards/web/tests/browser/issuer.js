// An OpenID Connect issuer that signs with a real key, and lets in whoever it is told to.
import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import { createServer } from 'node:http';

const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

export class Issuer {
  #key = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  #codes = new Map();
  #server = createServer((request, response) => this.#answer(request, response));
  /** The claims of the next one who signs in; none is refused. */
  claims = null;
  /** The secrets of its clients. */
  clients = { page: 'hush', operators: 'hush too' };

  static async start() {
    const issuer = new Issuer();
    await new Promise((resolve) => issuer.#server.listen(0, '127.0.0.1', resolve));
    issuer.address = `http://127.0.0.1:${issuer.#server.address().port}`;
    return issuer;
  }

  stop() {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  #token(claims) {
    const exp = Math.floor(Date.now() / 1000) + 600;
    const text = [
      part({ alg: 'ES256', typ: 'JWT', kid: 'k1' }),
      part({ iss: this.address, aud: 'figures', sub: 'jo', exp, ...claims }),
    ].join('.');
    const key = { key: this.#key.privateKey, dsaEncoding: 'ieee-p1363' };
    return `${text}.${sign('sha256', Buffer.from(text), key).toString('base64url')}`;
  }

  async #answer(request, response) {
    const url = new URL(request.url, this.address);
    const json = (value, status = 200) => {
      response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(value));
    };
    if (url.pathname === '/.well-known/openid-configuration') {
      const at = (path) => `${this.address}${path}`;
      return json({
        issuer: this.address, jwks_uri: at('/keys'), token_endpoint: at('/token'),
        authorization_endpoint: at('/authorize'),
      });
    }
    if (url.pathname === '/keys') {
      const key = this.#key.publicKey.export({ format: 'jwk' });
      return json({ keys: [{ ...key, kid: 'k1', use: 'sig', alg: 'ES256' }] });
    }
    if (url.pathname === '/authorize') return this.#authorize(url.searchParams, response);
    assert.equal(url.pathname, '/token');
    let body = '';
    for await (const text of request) body += text;
    const form = new URLSearchParams(body);
    const given = this.#codes.get(form.get('code'));
    this.#codes.delete(form.get('code'));
    const hash = createHash('sha256').update(form.get('code_verifier') ?? '').digest('base64url');
    const client = form.get('client_id');
    const holds = given && given.challenge === hash && given.back === form.get('redirect_uri')
      && given.client === client && form.get('client_secret') === this.clients[client];
    return holds ? json({ access_token: this.#token(given.claims) }) : json({ error: 'invalid_grant' }, 400);
  }

  #authorize(asked, response) {
    assert.equal(asked.get('response_type'), 'code');
    assert.equal(asked.get('code_challenge_method'), 'S256');
    const back = new URL(asked.get('redirect_uri'));
    back.searchParams.set('state', asked.get('state'));
    if (this.claims) {
      const code = randomUUID();
      const [challenge, client] = [asked.get('code_challenge'), asked.get('client_id')];
      this.#codes.set(code, { challenge, client, claims: this.claims, back: asked.get('redirect_uri') });
      back.searchParams.set('code', code);
    } else {
      back.searchParams.set('error', 'access_denied');
    }
    response.writeHead(302, { Location: back.href }).end();
  }
}
