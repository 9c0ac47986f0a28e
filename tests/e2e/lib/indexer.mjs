// rindexer where there is one, or the publisher that writes what it writes; and how either is killed.

import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createClient } from 'redis';
import { freePort, until } from './servers.mjs';

const DEPLOY = fileURLToPath(new URL('../../../examples/deploy', import.meta.url));
const PUBLISHER = fileURLToPath(new URL('../publisher/main.mjs', import.meta.url));
export const STREAMS = ['auction_deployments', 'auction_kicks', 'auction_sales', 'auction_high_value_sales'];

export class Indexer {
  /** When it was away, in milliseconds: `[from, to]`. */
  away = [];
  #server;
  #watcher;

  static async open(servers, chain, redisUrl, databaseUrl) {
    const indexer = new Indexer();
    indexer.servers = servers;
    indexer.real = process.env.RINDEXER || undefined;
    indexer.env = {
      ETHEREUM_RPC_URL: chain.url,
      FACTORY_ADDRESS: chain.factory,
      FACTORY_START_BLOCK: String(chain.startBlock),
      REDIS_CONNECTION_URI: redisUrl,
      DATABASE_URL: databaseUrl,
    };
    indexer.redis = createClient({ url: redisUrl });
    indexer.#watcher = indexer.redis.duplicate();
    await Promise.all([indexer.redis.connect(), indexer.#watcher.connect()]);
    // The shipped configuration, in a directory of its own for what rindexer leaves behind.
    indexer.directory = join(servers.directory, 'rindexer');
    cpSync(DEPLOY, indexer.directory, { recursive: true, filter: (path) => !/\.env$|redis-data/.test(path) });
    if (indexer.real) await indexer.#ownHealthPort();
    return indexer;
  }

  /** It would otherwise be a fixed one. */
  async #ownHealthPort() {
    const file = join(this.directory, 'rindexer.yaml');
    writeFileSync(file, `${readFileSync(file, 'utf8')}\nglobal:\n  health_port: ${await freePort()}\n`);
  }

  start() {
    const [command, args] = this.real
      ? [this.real, ['start', '--path', this.directory, '--yes', 'indexer']]
      : [process.execPath, [PUBLISHER, join(this.directory, 'rindexer.yaml')]];
    // rindexer may wait without end for tasks of its own when it is told to stop.
    const options = { env: this.env, cwd: this.directory, signal: 'SIGKILL' };
    this.#server = this.servers.start('indexer', command, args, options);
  }

  /** As by a crash, whatever it does at that moment. */
  async kill() {
    const from = Date.now();
    await this.servers.stop(this.#server);
    this.away.push([from, Infinity]);
  }

  /** Dies when its next entry is on a stream and its checkpoint does not know: `cause` makes the event of the entry. */
  async killAtNextEntry(cause) {
    const from = Date.now();
    const { child } = this.#server;
    const ended = this.servers.expectEnd(this.#server);
    try {
      if (this.real) {
        const entry = this.#watcher.xRead(STREAMS.map((key) => ({ key, id: '$' })), { BLOCK: 20_000 });
        await Promise.all([entry.then(() => child.kill('SIGKILL')), cause()]);
      } else {
        child.kill('SIGUSR2');
        await cause();
      }
      await until('the end of the indexer', () => this.#server.over !== undefined);
    } finally {
      child.kill('SIGKILL');
      await ended;
    }
    this.away.push([from, Infinity]);
  }

  restart() {
    this.start();
    // What is mined until it is up again waits for that too.
    this.away.at(-1)[1] = Date.now() + 2000;
  }

  isAway(at) {
    return this.away.some(([from, to]) => at >= from - 500 && at <= to);
  }

  /** All entries: `{ stream, at, payload }`. */
  async published() {
    const found = [];
    for (const stream of STREAMS) {
      for (const { id, message } of await this.redis.xRange(stream, '-', '+')) {
        found.push({ stream, at: Number(id.split('-')[0]), payload: JSON.parse(message.payload) });
      }
    }
    return found;
  }
}
