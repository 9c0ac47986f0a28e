// A stand-in for rindexer 0.41, for where there is none: follows the chain as `examples/deploy/rindexer.yaml` says, and writes
// what rindexer writes, in its order. PostgreSQL first, then the streams, then the checkpoint.
//
//     node publisher/main.mjs <rindexer.yaml>
//
// with the variables of that file, and DATABASE_URL, in the environment. SIGUSR2 makes it die, as by SIGKILL, right after the
// next entry.

import { decodeEventLog } from 'viem';
import { createClient } from 'redis';
import { blockAt, hex, readLog, rpc } from '../lib/rpc.mjs';
import { readConfig } from './config.mjs';
import { payloads, reorgNotice } from './payload.mjs';
import { Tables } from './tables.mjs';

// As in rindexer, which asks for the newest block so often.
const POLL_MS = 200;

const config = readConfig(process.argv[2], process.env);
const tables = await Tables.open(process.env.DATABASE_URL, config);
const redis = createClient({ url: process.env.REDIS_CONNECTION_URI });
redis.on('error', (error) => console.error(`redis: ${error.message}`));
await redis.connect();

let doomed = false;
process.on('SIGUSR2', () => (doomed = true));

const auctions = new Set(await tables.knownAuctions());
// What was seen of the chain, by number.
const seen = new Map(await tables.window());

console.log('following');
for (;;) {
  const began = Date.now();
  try {
    await poll();
  } catch (error) {
    console.error(error.message);
  }
  await new Promise((resolve) => setTimeout(resolve, Math.max(0, began + POLL_MS - Date.now())));
}

async function poll() {
  const latest = await blockAt(config.rpc, 'latest');
  if (config.window > 0 && !(await extend(latest))) {
    await undo(latest);
    return;
  }
  const follow = async (event) => {
    const from = Math.max((await tables.checkpoint(event)) + 1, event.startBlock);
    if (from <= latest.number) await read(event, from, latest.number);
  };
  // An auction's own events are looked for once it is known.
  await Promise.all(config.events.filter((event) => event.address).map(follow));
  await Promise.all(config.events.filter((event) => !event.address).map(follow));
}

async function read(event, from, to) {
  const filter = { fromBlock: hex(from), toBlock: hex(to), topics: [event.topic], address: event.address };
  const found = (await rpc(config.rpc, 'eth_getLogs', filter)).map(readLog);
  const logs = found
    .filter((log) => event.address || auctions.has(log.address))
    .map((log) => ({ ...log, args: decodeEventLog({ abi: [event.abi], topics: log.topics, data: log.data }).args }));
  if (logs.length > 0) {
    await learn(event, logs);
    await tables.insert(event, logs);
    await publish(event, logs, from, to);
  }
  await tables.setCheckpoint(event, to);
}

/** Takes up the auctions that a factory's event names. */
async function learn({ finds }, logs) {
  for (const log of finds ? logs : []) {
    const address = log.args[finds.input].toLowerCase();
    auctions.add(address);
    await tables.learnAuction(finds.factory, address);
  }
}

/** One entry for each block on each stream, in no order, as in rindexer. */
async function publish(event, logs, from, to) {
  const blocks = [...new Set(logs.map((log) => log.blockNumber))];
  const entries = blocks.flatMap((block) => {
    const together = logs.filter((log) => log.blockNumber === block);
    return event.targets.flatMap((target) =>
      payloads(config, event, target, together, from, to).map((payload) => [target.stream, payload]),
    );
  });
  if (doomed && entries.length > 0) {
    await redis.xAdd(entries[0][0], '*', { payload: entries[0][1] });
    process.kill(process.pid, 'SIGKILL');
    await new Promise(() => {});
  }
  await Promise.all(entries.map(([stream, payload]) => redis.xAdd(stream, '*', { payload })));
}

/** Takes in the chain up to `latest`; false if it is not the chain that was seen. */
async function extend(latest) {
  const last = [...seen.keys()].pop();
  // rindexer looks at parents only, and does not see that a head was replaced by another one.
  if (seen.has(latest.number)) return seen.get(latest.number) === latest.hash;
  for (let number = (last ?? latest.number - 1) + 1; number <= latest.number; number += 1) {
    const block = number === latest.number ? latest : await blockAt(config.rpc, number);
    if (!block) return true;
    if (seen.has(number - 1) && seen.get(number - 1) !== block.parentHash) return false;
    seen.set(number, block.hash);
    await tables.remember(block);
    if (seen.size > config.window) seen.delete(seen.keys().next().value);
  }
  return true;
}

/** Undoes what was seen behind the fork, and says so on each stream, once for each event of the stream's contract. */
async function undo(latest) {
  const gone = [];
  for (const [number, hash] of seen) {
    if ((await blockAt(config.rpc, number))?.hash !== hash) gone.push(number);
  }
  if (gone.length === 0) return;
  const [fork, last] = [gone[0], Math.max(latest.number, ...gone)];
  const undone = await tables.rollback(fork, last);
  gone.forEach((number) => seen.delete(number));
  const notice = reorgNotice(config, { fork, depth: last - fork + 1, ...undone });
  const streams = config.contracts.flatMap((contract) => contract.events.flatMap(() => contract.streams));
  await Promise.all(streams.map((stream) => redis.xAdd(stream, '*', { payload: notice })));
  console.log(`a reorg at block ${fork}: ${undone.deleted} events undone`);
}
