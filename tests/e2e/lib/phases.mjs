// What is done to the chain, and what has to be seen of it then.

import { getContractAddress } from 'viem';
import { feed, isBig } from './checks.mjs';
import { until } from './servers.mjs';

const TOKEN = 10n ** 18n;
const PLENTY = 10n ** 6n * TOKEN;
const AUCTIONS = 4;

/** Numbers from 0 to 1, the same ones for the same seed (mulberry32). */
export function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Nodes start before the indexer made its tables. A response that there is no such auction ends when there is one. */
export async function deployments({ chain, nodes, indexer, wrong }) {
  const first = getContractAddress({ from: chain.factory, nonce: 1n }).toLowerCase();
  for (const node of nodes) {
    const { total } = await node.json('/auctions?limit=100');
    if (total !== 0) wrong.push(`${node.name}: ${total} auctions before there is a table`);
    await node.get(`/auctions/${first}`);
    const { status, hit } = await node.get(`/auctions/${first}`);
    if (status !== 404 || !hit) wrong.push(`${node.name}: ${status}, ${hit ? 'a' : 'no'} hit, for an auction to come`);
  }
  indexer.start();
  for (let index = 0; index < AUCTIONS; index += 1) await chain.mine([chain.deploy(index)]);
  for (const node of nodes) {
    const found = await until(`${node.name}: the first auction`, async () => {
      const answer = await node.get(`/auctions/${first}`);
      return answer.status === 200 && answer;
    });
    // The other node may find what this one stored.
    if (node === nodes[0] && !found.purged) wrong.push(`${node.name}: the 404 of an auction to come was not purged`);
    const all = async () => (await node.json('/auctions?limit=100')).total === AUCTIONS;
    await until(`${node.name}: all auctions`, all);
  }
}

/** Kicks and sales, while readers never rest and the indexer is killed twice. */
export async function trade(test) {
  const { chain, watch, indexer, blocks, seed, say } = test;
  const next = random(seed);
  const auctions = await chain.auctions();
  const any = () => auctions[Math.floor(next() * auctions.length)];
  await chain.mine(auctions.map((auction) => chain.kick(auction, PLENTY)));
  watch.start(auctions);
  const began = Date.now();
  // Of a log that is new nobody knows who else answers, so its first purges wait for a lease; what is measured comes after.
  await told(test, await chain.updates());
  await watch.settled();
  say(`the first updates are told after ${((Date.now() - began) / 1000).toFixed(1)} s`);
  watch.delays.length = 0;
  const crash = Math.floor(blocks / 3);
  const restart = Math.floor((2 * blocks) / 3);
  for (let block = 0; block < blocks; block += 1) {
    const mine = () => chain.mine(callsOf(chain, next, any));
    if (block === Math.floor(blocks / 2)) {
      await chain.mine([chain.deploy(block)]);
      const [added] = (await chain.auctions()).slice(-1);
      await chain.mine([chain.kick(added, PLENTY)]);
      auctions.push(added);
    }
    if (block === crash) {
      await indexer.killAtNextEntry(mine);
      say('  the indexer died between entry and checkpoint');
    } else if (block === restart) {
      await mine();
      await indexer.kill();
      say('  the indexer was killed');
    } else {
      await mine();
    }
    if (block === crash + 3 || block === restart + 3) indexer.restart();
    await pause(50 + next() * 150);
  }
}

/** The calls of one block. */
function callsOf(chain, next, any) {
  const amount = () => BigInt(1 + Math.floor(next() * 40)) * (TOKEN / 10n);
  const which = next();
  if (which < 0.12) return [chain.kick(any(), PLENTY)];
  if (which < 0.22) return [chain.take(any(), amount()), chain.take(any(), amount(), 4)];
  if (which < 0.27) return [chain.takeMany(any(), 3n, amount())];
  if (which < 0.32) return [chain.kickAndTake(any(), PLENTY, amount())];
  // At half an ether, the lowest price, that is ten; nothing else comes near.
  if (which < 0.4) return [chain.take(any(), 20n * TOKEN + amount())];
  return [chain.take(any(), amount())];
}

/** Waits until all that happened was told at all nodes. What is missing in the end is named by the checks. */
export async function told({ nodes, alerts }, events, within = 20_000) {
  const count = (node, wanted) => node.told.filter(({ message }) => wanted.includes(message.type)).length;
  const big = events.filter(isBig).length;
  const all = () =>
    nodes.every((node) => count(node, ['sale', 'kick']) >= events.length) &&
    alerts.every((node) => count(node, ['alert']) >= big);
  await until('all updates', all, within).catch(() => {});
}

/** An event ends the responses that depend on it, and no others. */
export async function purges(test) {
  const { chain, nodes, wrong } = test;
  const [one, other] = await chain.auctions();
  const details = (auction) => `/auctions/${auction}`;
  const history = (auction) => `/auctions/${auction}/price-history`;
  const list = '/auctions?limit=100';
  const curve = (auction) => `/auctions/${auction}/price-curve`;
  const paths = [one, other].flatMap((auction) => [details(auction), history(auction), curve(auction)]);
  paths.push(list);
  const [first, second] = nodes;
  const expect = async (what, call, purged) => {
    for (const path of [...paths, ...paths]) await Promise.all(nodes.map((node) => node.get(path)));
    const before = nodes.map((node) => node.told.length);
    await chain.mine([call]);
    await until(what, () => nodes.every((node, index) => node.told.length > before[index]));
    for (const path of paths) {
      const [asked, shared] = [await first.get(path), await second.get(path)];
      const isPurged = purged.includes(path);
      if (asked.hit === isPurged) wrong.push(`after ${what} ${first.name} ${path} is ${isPurged ? 'a' : 'no'} hit`);
      // What the first node fetched may not be in the store yet that they share.
      if (!shared.hit && !isPurged) wrong.push(`after ${what} ${second.name} ${path} is no hit`);
    }
  };
  await expect('a kick', chain.kick(one, PLENTY), [details(one), curve(one), list]);
  await expect('a sale', chain.take(one, TOKEN), [details(one), history(one), curve(one), list]);
}

/** Three blocks with two sales and a kick are replaced by three with another sale. Returns what was undone. */
export async function reorg(test) {
  const { chain, nodes, indexer, wrong, say } = test;
  const [one, other] = await chain.auctions();
  const before = await chain.updates();
  const { lastBlock } = await chain.state(other);
  await chain.mine([chain.take(one, 2n * TOKEN)]);
  await chain.mine([chain.kick(other, PLENTY)]);
  await chain.mine([chain.take(other, 21n * TOKEN)]);
  const old = await chain.updates();
  await told(test, old);
  const forgotten = nodes.map((node) => forgets(node, nodes, other, lastBlock));
  await chain.reorganise(3, [chain.take(one, 3n * TOKEN, 5)]);
  const present = await chain.updates();
  const undone = old.slice(before.length);
  if (undone.length !== 3 || present.length !== before.length + 1) throw new Error('that was no reorg of three blocks');
  await told(test, [...old, ...present.slice(-1)], indexer.real ? 3_000 : undefined);
  if (nodes.some((node) => !node.told.some(({ message }) => message.data?.tx_hash === present.at(-1).hash))) {
    if (!indexer.real) wrong.push('what the new blocks have was not told');
    // In 0.41 the reader that notices a reorg goes back, and those of other events do not; nor do they behind the next block.
    say('  rindexer left out the sale of the new blocks; started again it reads on from its checkpoint');
    await indexer.kill();
    indexer.restart();
    await told(test, [...old, ...present.slice(-1)]);
  }
  for (const checked of forgotten) wrong.push(...(await checked));
  for (const node of nodes) {
    const shown = new Set((await feed(node, '?limit=1000')).map((entry) => entry.hash));
    const kept = new Set((await feed(node, '?limit=1000&reorged=true')).map((entry) => entry.hash));
    for (const { hash } of undone) {
      if (shown.has(hash)) wrong.push(`${node.name} /activity: the undone ${hash} is still there`);
      if (!kept.has(hash)) wrong.push(`${node.name} /activity?reorged=true: the undone ${hash} is missing`);
    }
  }
  return undone;
}

/** Once `node` tells of the reorg, no node shows what it undid: all of an auction behind `lastBlock`. */
async function forgets(node, nodes, auction, lastBlock) {
  const isNotice = ({ message }) => message.type === 'resync' && /reorg/.test(message.reason);
  await until(`${node.name} tells of the reorg`, () => node.told.some(isNotice), 20_000);
  const answers = nodes.map(async (other) => {
    const shown = await other.json(`/auctions/${auction}`);
    return shown.last_block > lastBlock ? [`${other.name} ${auction}: block ${shown.last_block}, which is undone`] : [];
  });
  return (await Promise.all(answers)).flat();
}
