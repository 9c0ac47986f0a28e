// Each entry that rindexer wrote, made again from the chain's logs: byte for byte.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { readConfig } from './config.mjs';
import { payloads, reorgNotice } from './payload.mjs';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '../../..');
const FIXTURES = join(ROOT, 'tests/fixtures/rindexer');
const VARIABLES = { RPC_URL: '', REDIS_CONNECTION_URI: '' };
const REORG = '__rindexer_reorg';

const CAPTURES = {
  'v0.41.0': {
    'auction:events': 'auction-events.json',
    'auction:factory': 'auction-factory.json',
    'auction:finalized': 'auction-finalized.json',
    'auction:sales': 'auction-sales.json',
    'auction:sales:large': 'auction-sales-large.json',
    'auction:settled': 'auction-settled.json',
  },
  'v0.41.0-streams-only': { 'auction:minimal': 'auction-minimal.json' },
};

const read = (...path) => JSON.parse(readFileSync(join(FIXTURES, ...path), 'utf8'));

/** The logs of the final chain. */
function truth(version) {
  return read(version, 'chain-logs.json').map((log) => ({
    address: log.address,
    args: log.args,
    name: log.event,
    topic: log.topic0,
    blockHash: log.block_hash,
    blockNumber: log.block_number,
    logIndex: log.log_index,
    transactionHash: log.transaction_hash,
    transactionIndex: log.transaction_index,
  }));
}

/** A capture's entries, with the payload as text and read. */
function entries(version, stream, file) {
  return read(version, file).map(([id, [field, text, ...more]]) => {
    assert.deepEqual([field, more], ['payload', []], `${file} ${id}`);
    return { stream, text, told: JSON.parse(text) };
  });
}

/** When each block was made: headers are not in the fixtures, so the first element that any entry has of it says so. */
function timestamps(all) {
  return new Map(elements(all).map(({ source }) => [source.block_hash, Number(source.block_timestamp)]));
}

function elements(all) {
  const told = all.filter(({ told }) => told.event_name !== REORG);
  return told.flatMap(({ told }) =>
    told.event_data.map(({ transaction_information: source, ...args }) => ({ told, source, args })),
  );
}

/** Logs of blocks that a reorg undid. The final chain has none of them, so they are what the entries said of them. */
function undone(all, chain) {
  const canonical = new Set(chain.map((log) => log.blockHash));
  const logs = elements(all)
    .filter(({ source }) => !canonical.has(source.block_hash))
    .map(({ told, source, args }) => ({
      address: source.address,
      args,
      topic: told.event_signature_hash,
      blockHash: source.block_hash,
      blockNumber: source.block_number,
      logIndex: Number(source.log_index),
      transactionHash: source.transaction_hash,
      transactionIndex: source.transaction_index,
    }));
  return [...new Map(logs.map((log) => [`${log.blockHash}/${log.logIndex}`, log])).values()];
}

/** What the notice of a reorg is made of. */
function noticed(told, undone) {
  const [{ fork_block: fork, depth }] = told.event_data;
  const hashes = undone.filter((log) => log.blockNumber >= fork).map((log) => log.transactionHash);
  return { fork, depth, deleted: undone.length, hashes: [...new Set(hashes)].sort() };
}

for (const [version, streams] of Object.entries(CAPTURES)) {
  const config = readConfig(join(FIXTURES, version, 'rindexer.yaml'), VARIABLES, join(FIXTURES, 'abis'));
  const chain = truth(version);
  const all = Object.entries(streams).flatMap(([stream, file]) => entries(version, stream, file));
  const times = timestamps(all);
  const gone = undone(all, chain);

  test(`${version}: the times of blocks are those that the contract saw`, () => {
    const sales = chain.filter((log) => log.name === 'AuctionSale' && times.has(log.blockHash));
    assert.ok(sales.length > 20);
    for (const sale of sales) assert.equal(times.get(sale.blockHash), Number(sale.args.timestamp));
  });

  /** What could stand for an entry: the logs of its event in the block of its number, or in each that was there before. */
  function candidates(logs, { stream, told }) {
    const event = config.events.find((event) => event.topic === told.event_signature_hash);
    const target = event.targets.find((target) => target.stream === stream);
    const [, from, to] = told.message_id.match(/-(\d+)-(\d+)-blk/) ?? [];
    const found = logs.filter((log) => log.topic === event.topic && log.blockNumber === told.block_number);
    const blocks = groupBy(found, (log) => log.blockHash);
    return [...blocks.values()].flatMap((logs) => {
      const dated = logs.map((log) => ({ ...log, blockTimestamp: times.get(log.blockHash) }));
      return payloads(config, event, target, dated, from, to);
    });
  }

  test(`${version}: entries are the same, byte for byte`, (t) => {
    const count = { chain: 0, undone: 0, notices: 0 };
    for (const entry of all) {
      if (entry.told.event_name === REORG) {
        assert.equal(reorgNotice(config, noticed(entry.told, gone)), entry.text);
        count.notices += 1;
      } else if (candidates(chain, entry).includes(entry.text)) {
        count.chain += 1;
      } else {
        const made = candidates([...chain, ...gone], entry);
        assert.ok(made.includes(entry.text), `${entry.stream}\n${entry.text}\n${made.join('\n')}`);
        count.undone += 1;
      }
    }
    t.diagnostic(
      `of ${all.length} entries ${count.chain} from the logs of the final chain, ${count.undone} of undone blocks from what ` +
        `entries say of these, ${count.notices} notices`,
    );
    assert.ok(count.undone * 10 < all.length);
  });
}

function groupBy(list, key) {
  const groups = new Map();
  for (const element of list) groups.set(key(element), [...(groups.get(key(element)) ?? []), element]);
  return groups;
}
