// The programs that the tests need, each started here on a free port of this machine and stopped again.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';

const PROGRAM = process.env.AUCTION_HOUSE ?? '../../target/debug/examples/auction_house';
const PATIENCE = 30_000;

/** A port that nobody has just now. */
export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/** Waits until `look` returns something, and says after `what` it was waited for in vain. */
export async function until(what, look, patience = PATIENCE) {
  const end = Date.now() + patience;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > end) throw new Error(`waited in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

class Program {
  constructor(child) {
    this.child = child;
    // Also if a test ends before it stops it.
    const kill = () => child.kill('SIGKILL');
    process.once('exit', kill);
    child.once('exit', () => process.off('exit', kill));
  }

  async stop(signal = 'SIGKILL') {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const ended = once(this.child, 'exit');
    this.child.kill(signal);
    await ended;
  }
}

/** One copy of the auction house. */
export class House extends Program {
  static async open(...given) {
    const port = await freePort();
    return House.openAt(port, ...given);
  }

  static async openAt(port, ...given) {
    const environment = { ...process.env };
    delete environment.REDIS_CONNECTION_URI;
    delete environment.DATABASE_URL;
    const child = spawn(PROGRAM, ['--listen', `127.0.0.1:${port}`, ...given], {
      env: environment,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const lines = createInterface({ input: child.stdout });
    const failed = once(child, 'exit').then(() => {
      throw new Error(`${PROGRAM} has ended`);
    });
    failed.catch(() => {});
    await Promise.race([once(lines, 'line'), failed]);
    const house = new House(child);
    house.port = port;
    house.url = `http://127.0.0.1:${port}`;
    return house;
  }

  /** Somebody buys, or kicks, not by this page. */
  async act(what, address) {
    const answer = await fetch(`${this.url}/actions/${what}/${address}`, { method: 'POST' });
    if (!answer.ok) throw new Error(`${what}: ${answer.status} ${await answer.text()}`);
    return (await answer.json()).tx_hash;
  }

  async auction(address) {
    return (await fetch(`${this.url}/auctions/${address}`)).json();
  }
}

/** A Redis of its own. */
export class Redis extends Program {
  static async open(port) {
    port ??= await freePort();
    const child = spawn('redis-server', ['--bind', '127.0.0.1', '--port', String(port), '--save', '', '--appendonly', 'no'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const lines = createInterface({ input: child.stdout });
    await new Promise((resolve, reject) => {
      lines.on('line', (line) => /Ready to accept connections/.test(line) && resolve());
      child.once('exit', () => reject(new Error('redis-server has ended')));
    });
    const redis = new Redis(child);
    redis.port = port;
    redis.url = `redis://127.0.0.1:${port}`;
    return redis;
  }
}
