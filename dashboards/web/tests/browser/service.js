// The real service, started on a fresh folder, and the few calls the tests make.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const SECRET = 'a secret for the tests of the page, long enough';

export class Service {
  #process;
  #log = '';

  constructor(binary, folder, variables) {
    this.binary = binary;
    this.variables = variables;
    this.folder = folder;
    this.listen = '127.0.0.1:0';
    this.address = '';
  }

  /** With variables of its configuration. */
  static async start(variables = {}) {
    const binary = process.env.TIDEMARK_BIN;
    assert.ok(binary, 'TIDEMARK_BIN must name the built binary');
    const service = new Service(binary, await mkdtemp(join(tmpdir(), 'tidemark-page-')), variables);
    await service.up();
    return service;
  }

  /** Starts the process and waits until it answers with complete figures. */
  async up() {
    this.#log = '';
    this.#process = spawn(this.binary, ['serve', '--data', this.folder, '--listen', this.listen], {
      env: { PATH: process.env.PATH, HOME: this.folder, NO_COLOR: '1', TIDEMARK_JWT_SECRET: SECRET, ...this.variables },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#process.stderr.setEncoding('utf8').on('data', (text) => {
      this.#log = (this.#log + text).slice(-20_000);
    });
    await until('the service is ready', async () => {
      assert.equal(this.#process.exitCode, null, `the service ended:\n${this.#log}`);
      const found = /127\.0\.0\.1:(\d+)/.exec(this.#log);
      if (!found || found[1] === '0') return false;
      // The same address again after a restart, as a real service has.
      this.listen = found[0];
      this.address = `http://${found[0]}`;
      return (await fetch(`${this.address}/readyz`)).ok;
    });
  }

  async kill(signal = 'SIGKILL') {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#process.once('exit', resolve));
    this.#process.kill(signal);
    await ended;
  }

  async stop() {
    await this.kill('SIGTERM');
    await rm(this.folder, { recursive: true, force: true });
  }

  async token(role, tenant) {
    const firm = tenant ? ['--tenant', tenant] : [];
    const { stdout } = await run(this.binary, ['token', '--role', role, '--secret', SECRET, ...firm]);
    return stdout.trim();
  }

  async call(method, path, token, body, type = 'application/json') {
    const response = await fetch(this.address + path, {
      method, body, headers: { Authorization: `Bearer ${token}`, 'Content-Type': type },
    });
    const answer = await response.json();
    assert.ok(response.ok, `${method} ${path}: ${response.status} ${JSON.stringify(answer)}`);
    return answer;
  }

  async createTenant(tenant) {
    const token = await this.token('platform');
    return this.call('POST', '/v1/platform/tenants', token, JSON.stringify(tenant));
  }

  /** Sends facts as `[type, data]` and waits until they are applied. */
  async post(tenant, ...facts) {
    const token = await this.token('admin', tenant);
    const answer = await this.call('POST', '/v1/events', token, JSON.stringify(facts.map(eventOf)), BATCH);
    assert.deepEqual(answer.rejected, [], 'no event is rejected');
    await this.call('GET', `/v1/views/headcount?limit=1&wait_for=${encodeURIComponent(answer.position)}`, token);
  }

  /**
   * Sends facts one after another, each again and again until it is acknowledged, as a producer does
   * whatever becomes of the service.
   */
  async deliver(tenant, ...facts) {
    const token = await this.token('admin', tenant);
    const headers = { Authorization: `Bearer ${token}`, 'Content-Type': BATCH };
    for (const fact of facts) {
      const body = JSON.stringify([eventOf(fact)]);
      await until(`${fact[0]} is acknowledged`, async () => {
        const response = await fetch(`${this.address}/v1/events`, { method: 'POST', headers, body });
        const answer = await response.json();
        assert.ok(response.ok || response.status >= 500, `${response.status} ${JSON.stringify(answer)}`);
        if (response.ok) assert.deepEqual(answer.rejected, [], 'no event is rejected');
        return response.ok;
      }, 120);
    }
  }
}

const BATCH = 'application/cloudevents-batch+json';

function eventOf([type, data, time]) {
  return {
    specversion: '1.0', id: crypto.randomUUID(), source: '/tests', type,
    time: time ?? '2026-03-01T09:00:00Z', data,
  };
}

/** Waits until something holds, and says what did not. */
export async function until(what, holds, seconds = 60) {
  const end = Date.now() + seconds * 1000;
  let last;
  while (Date.now() < end) {
    try {
      if (await holds()) return;
      last = undefined;
    } catch (error) {
      if (error instanceof assert.AssertionError) throw error;
      last = error;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`it did not come to be that ${what}`, { cause: last });
}

/**
 * A token like the service's own, signed here so that it is somebody's: those that `tidemark token`
 * makes are all of one subject, whose rights are those of the newest.
 */
export async function tokenOf(subject, role, tenant, hours = 1) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const unsigned = [
    part({ alg: 'HS256', typ: 'JWT' }),
    part({ sub: subject, tenant, roles: [role], exp: Math.floor(Date.now() / 1000) + hours * 3600 }),
  ].join('.');
  const usage = { name: 'HMAC', hash: 'SHA-256' };
  const key = await crypto.subtle.importKey('raw', Buffer.from(SECRET), usage, false, ['sign']);
  const mark = await crypto.subtle.sign('HMAC', key, Buffer.from(unsigned));
  return `${unsigned}.${Buffer.from(mark).toString('base64url')}`;
}

export const expiredToken = (tenant) => tokenOf('tests', 'executive', tenant, -1);
