// The programs of the test: each started on a free port of the loopback interface, and stopped by its process id.

import { spawn, spawnSync } from 'node:child_process';
import { chownSync, closeSync, mkdtempSync, openSync, readdirSync, realpathSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { arch, platform, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

const START_MS = 20_000;
const STOP_MS = 5_000;

export async function freePort() {
  const server = createServer();
  await new Promise((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Waits until `ready` holds. */
export async function until(what, ready, within = START_MS) {
  const last = Date.now() + within;
  let problem = '';
  while (Date.now() < last) {
    try {
      const found = await ready();
      if (found) return found;
    } catch (error) {
      problem = `: ${error.message}`;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`${what}: not within ${within / 1000} s${problem}`);
}

export class Servers {
  /** Where the programs write what they have to say. */
  directory = mkdtempSync(join(tmpdir(), 'tagcache-e2e-'));
  #running = new Map();
  #directories = [];

  /** Starts a program, which has to be stopped before it may end. */
  start(name, command, args, { env = {}, signal = 'SIGTERM', cwd = this.directory } = {}) {
    const log = openSync(join(this.directory, `${name}.log`), 'a');
    const child = spawn(command, args, { cwd, env: { ...bare(), ...env }, stdio: ['ignore', log, log] });
    closeSync(log);
    const ended = new Promise((resolve) => {
      child.once('error', (error) => resolve(error.message));
      child.once('exit', (code, by) => resolve(by ?? `code ${code}`));
    });
    const server = { name, child, signal, ended, over: undefined };
    ended.then((how) => {
      server.over = how;
      if (this.#running.get(child) === server) console.error(`${name} ended by itself: ${how}`);
      this.#running.delete(child);
    });
    this.#running.set(child, server);
    return server;
  }

  async stop(server) {
    this.#running.delete(server.child);
    if (server.over) return;
    server.child.kill(server.signal);
    const late = new Promise((resolve) => setTimeout(resolve, STOP_MS, 'late').unref());
    if ((await Promise.race([server.ended, late])) === 'late') server.child.kill('SIGKILL');
    await server.ended;
  }

  /** The server is about to end, and is meant to. */
  expectEnd(server) {
    this.#running.delete(server.child);
    return server.ended;
  }

  async stopAll() {
    await Promise.all([...this.#running.values()].reverse().map((server) => this.stop(server)));
    for (const directory of this.#directories) rmSync(directory, { recursive: true, force: true });
  }

  /** For when there is no time left to wait. */
  killAll() {
    for (const { child } of this.#running.values()) child.kill('SIGKILL');
    for (const directory of this.#directories) rmSync(directory, { recursive: true, force: true });
  }

  pids() {
    return [...this.#running.values()].map(({ name, child }) => `${name} ${child.pid}`);
  }

  async anvil(chainId) {
    const port = await freePort();
    const system = { x64: 'amd64', arm64: 'arm64' }[arch()];
    const binary = createRequire(import.meta.url).resolve(
      `@foundry-rs/anvil-${platform()}-${system}/bin/anvil`,
    );
    // Blocks are made when the test says so.
    const args = ['--host', '127.0.0.1', '--port', port, '--chain-id', chainId, '--no-mining', '--quiet'];
    this.start('anvil', binary, args.map(String));
    return `http://127.0.0.1:${port}`;
  }

  async redis() {
    const port = await freePort();
    const args = ['--bind', '127.0.0.1', '--port', String(port), '--save', '', '--appendonly', 'no'];
    this.start('redis', 'redis-server', args);
    return `redis://127.0.0.1:${port}`;
  }

  /** PostgreSQL, which does not run as root: as `postgres` or `nobody` then. */
  async postgres() {
    const [port, bin] = [await freePort(), postgresBin()];
    const directory = mkdtempSync(join(tmpdir(), 'tagcache-e2e-postgres-'));
    this.#directories.push(directory);
    const user = process.getuid() === 0 ? otherUser() : undefined;
    if (user) chownSync(directory, user.uid, user.gid);
    const as = user ? ['setpriv', `--reuid=${user.uid}`, `--regid=${user.gid}`, '--clear-groups'] : [];
    const run = (program, ...args) => [...as, join(bin, program), ...args];
    const data = join(directory, 'data');
    const [command, ...args] = run('initdb', '-D', data, '-U', 'auctions', '-A', 'trust', '-E', 'UTF8', '--locale=C', '-N');
    const made = spawnSync(command, args, { cwd: directory, encoding: 'utf8', timeout: 60_000 });
    if (made.status !== 0) throw new Error(`initdb: ${made.error?.message ?? made.stderr}`);
    const options = ['listen_addresses=127.0.0.1', `port=${port}`, 'unix_socket_directories=', 'fsync=off'];
    const [server, ...rest] = run('postgres', '-D', data, ...options.flatMap((option) => ['-c', option]));
    // Its SIGTERM waits for all clients.
    this.start('postgres', server, rest, { cwd: directory, signal: 'SIGINT' });
    return `postgres://auctions@127.0.0.1:${port}/postgres`;
  }
}

/** What a program needs of the environment, and nothing that would configure it. */
function bare() {
  const { PATH, HOME, TMPDIR } = process.env;
  return { PATH, HOME, ...(TMPDIR && { TMPDIR }) };
}

function postgresBin() {
  if (process.env.POSTGRES_BIN) return process.env.POSTGRES_BIN;
  const inPath = spawnSync('sh', ['-c', 'command -v initdb'], { encoding: 'utf8' }).stdout.trim();
  if (inPath) return dirname(realpathSync(inPath));
  const debian = '/usr/lib/postgresql';
  try {
    const versions = readdirSync(debian).sort((a, b) => Number(b) - Number(a));
    return join(debian, versions[0], 'bin');
  } catch {
    throw new Error('no PostgreSQL: install it, or set POSTGRES_BIN to where initdb and postgres are');
  }
}

function otherUser() {
  for (const name of ['postgres', 'nobody']) {
    const [uid, gid] = ['-u', '-g'].map((of) => Number(spawnSync('id', [of, name], { encoding: 'utf8' }).stdout));
    if (uid > 0) return { uid, gid };
  }
  throw new Error('PostgreSQL does not run as root, and there is neither a user postgres nor nobody');
}
