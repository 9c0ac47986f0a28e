// The auction house on a real chain, from the contract to the page; see README.md.
//
//     AUCTION_HOUSE=…/auction_house node run.mjs

import { rmSync } from 'node:fs';
import { Chain } from './lib/chain.mjs';
import { alertsAre, apiIsChain, delays, feedIsChain, toldOnce } from './lib/checks.mjs';
import { Indexer } from './lib/indexer.mjs';
import { Node } from './lib/node.mjs';
import { deployments, purges, reorg, told, trade } from './lib/phases.mjs';
import { blockAt } from './lib/rpc.mjs';
import { Servers, freePort, until } from './lib/servers.mjs';
import { Watch } from './lib/watch.mjs';

const { AUCTION_HOUSE, RINDEXER, KEEP, PAGE } = process.env;
const BLOCKS = Number(process.env.BLOCKS ?? 150);
const SEED = Number(process.env.SEED ?? Date.now() % 2 ** 31);
const CHAIN_ID = 1;
const LIMIT_MS = 180_000 + (RINDEXER ? 120_000 : 0) + Math.max(0, BLOCKS - 150) * 500;

if (!AUCTION_HOUSE) {
  console.error('AUCTION_HOUSE is the program of the example: cargo build --example auction_house --all-features');
  process.exit(2);
}

const began = Date.now();
const say = (text) => console.log(`${((Date.now() - began) / 1000).toFixed(1).padStart(6)} s  ${text}`);
const servers = new Servers();
const nodes = [];
let ending = false;

process.on('exit', () => servers.killAll());
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => end(130));
process.on('uncaughtException', (error) => fail([error.stack]));
process.on('unhandledRejection', (error) => fail([error.stack]));
const limit = setTimeout(() => fail([`not done within ${LIMIT_MS / 1000} s`]), LIMIT_MS);

try {
  const wrong = await run();
  if (wrong.length > 0) await fail(wrong);
  say('everything is as the chain says');
  if (KEEP) await keep();
  await end(0);
} catch (error) {
  await fail([error.stack]);
}

async function run() {
  say(`seed ${SEED}, ${BLOCKS} blocks, ${RINDEXER ? 'rindexer' : 'the publisher in its place'}`);
  const test = await start();
  const { chain, watch, indexer, wrong } = test;
  const found = (what, more) => {
    say(`${what}: ${more.length === 0 ? 'yes' : `${more.length} times no`}`);
    wrong.push(...more);
  };

  await deployments(test);
  say('auctions are there, also where there was a 404');
  await trade(test);
  await told(test, await chain.updates(), 30_000);
  await watch.stop();
  const { answers, hits, rechecked } = watch;
  say(`${(await chain.updates()).length} kicks and sales in ${BLOCKS} blocks, ${rechecked} updates followed by both nodes`);
  say(`${answers} answers, ${((100 * hits) / answers).toFixed(1)} % of them hits, ${watch.stale.length} stale`);
  found('API is chain', await apiIsChain(chain, nodes));
  found('feed and sums are chain', await feedIsChain(chain, nodes));
  found('each event is told once', toldOnce(nodes, await chain.updates()));
  found('alerts are those of the rule', alertsAre(test.alerts, await chain.updates()));
  say(`${await repeated(indexer)} entries repeat what was published before the indexer died`);

  watch.rest();
  const before = wrong.length;
  await purges(test);
  found('an event purges what it is about, and nothing else', wrong.splice(before));
  const undone = await reorg(test);
  const all = [...(await chain.updates()), ...undone];
  say('a reorg undid two sales and a kick');
  found('API is chain', await apiIsChain(chain, nodes));
  found('feed and sums are chain', await feedIsChain(chain, nodes));
  found('each event is told once', toldOnce(nodes, all));
  found('alerts are those of the rule', alertsAre(test.alerts, all));
  found('no answer was stale', watch.stale);
  if (PAGE) found('page is chain', await (await import('./lib/page.mjs')).pageIsChain(test));
  for (const line of await delays(watch, indexer)) console.log(`          ${line}`);
  for (const node of [...nodes, ...test.alerts]) {
    if (node.told.some(({ event }) => event === 'lost')) wrong.push(`${node.name} ended a stream`);
  }
  return wrong;
}

/** Everything that takes part, and the chain with a factory on it. */
async function start() {
  const [rpcUrl, redisUrl, databaseUrl] = await Promise.all([
    servers.anvil(CHAIN_ID),
    servers.redis(),
    servers.postgres(),
  ]);
  await until('anvil', () => blockAt(rpcUrl, 'latest'));
  const chain = new Chain(rpcUrl);
  await chain.connect();
  await chain.deployFactory();
  const indexer = await Indexer.open(servers, chain, redisUrl, databaseUrl);
  for (const name of ['first', 'second']) {
    const port = await freePort();
    const args = ['--listen', `127.0.0.1:${port}`, '--redis', redisUrl, '--events', 'none', '--price-every', '0'];
    servers.start(`node-${name}`, AUCTION_HOUSE, args, { env: { DATABASE_URL: databaseUrl }, signal: 'SIGINT' });
    nodes.push(new Node(name, `http://127.0.0.1:${port}`));
  }
  const alerts = nodes.map((node) => new Node(node.name, node.url));
  for (const node of nodes) await until(node.name, async () => (await node.get('/auctions')).status === 200);
  await Promise.all([...nodes.map((node) => node.listen('/events')), ...alerts.map((node) => node.listen('/events/alerts'))]);
  const watch = new Watch(chain, nodes);
  say(`anvil, PostgreSQL, Redis and two nodes are up; logs in ${servers.directory}`);
  return { chain, indexer, nodes, alerts, watch, wrong: [], blocks: BLOCKS, seed: SEED, say };
}

/** How many entries of the streams have an event that another entry of the same stream has too. */
async function repeated(indexer) {
  const seen = new Set();
  let count = 0;
  for (const { stream, payload } of await indexer.published()) {
    const [event] = payload.event_data;
    if (!event?.transaction_information) continue;
    const { block_hash: block, log_index: index } = event.transaction_information;
    const name = [stream, block, index].join('/');
    if (seen.has(name)) count += 1;
    seen.add(name);
  }
  return count;
}

async function keep() {
  clearTimeout(limit);
  console.log(`\nleft running until Ctrl-C:\n  ${nodes.map((node) => node.url).join('\n  ')}\n  ${servers.pids().join(', ')}`);
  await new Promise(() => setInterval(() => {}, 60_000));
}

async function fail(wrong) {
  if (ending) return;
  clearTimeout(limit);
  console.error(`\n${wrong.length} things are not as the chain says:`);
  for (const line of wrong.slice(0, 40)) console.error(`  ${line}`);
  console.error(`the programs' logs are in ${servers.directory}, the seed was ${SEED}`);
  if (KEEP) await keep();
  await end(1);
}

async function end(code) {
  if (ending) return;
  ending = true;
  for (const node of nodes) node.close();
  await servers.stopAll();
  if (code !== 1) rmSync(servers.directory, { recursive: true, force: true });
  process.exit(code);
}
