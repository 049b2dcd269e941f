// A line between a browser and the service that can go dead, as that of a laptop that sleeps: nothing
// passes any more, and neither end is told.
import { connect, createServer } from 'node:net';

export class Line {
  #server;
  #ends = new Set();
  #isDead = false;

  static async to(address) {
    const { hostname, port } = new URL(address);
    const line = new Line();
    line.#server = createServer((near) => line.#carry(near, connect(Number(port), hostname)));
    await new Promise((resolve) => line.#server.listen(0, '127.0.0.1', resolve));
    line.address = `http://127.0.0.1:${line.#server.address().port}`;
    return line;
  }

  #carry(near, far) {
    for (const [from, to] of [[near, far], [far, near]]) {
      this.#ends.add(from);
      from.on('data', (bytes) => {
        if (!this.#isDead) to.write(bytes);
      });
      // One end that breaks off takes the other with it, as long as anything passes.
      from.on('error', () => from.destroy());
      from.on('close', () => {
        this.#ends.delete(from);
        if (!this.#isDead) to.destroy();
      });
    }
  }

  die() {
    this.#isDead = true;
  }

  /** Carries again what is new; what was lost in between is lost. */
  revive() {
    this.#isDead = false;
    for (const end of this.#ends) end.destroy();
  }

  close() {
    this.#server.close();
    this.revive();
  }
}
