// Against the real server, through a proxy that cuts connections at any byte and at any time: no update is lost, told
// twice or out of order, compared with what an uncut stream said.

import { EventSource } from 'eventsource';
import { WebSocket } from 'ws';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { LiveClient } from '../src/index.js';
import { openCuttingProxy } from './support/cutting-proxy.js';
import { openHouse } from './support/house.js';
import { follow, isId, judge, recordOf } from './support/record.js';
import { openRedis } from './support/redis.js';
import { someTime, until } from './support/until.js';

const CUTS = Number(process.env.CUTS ?? 100);

let house, proxy, live, record;

beforeAll(async () => {
  vi.stubGlobal('EventSource', EventSource);
  vi.stubGlobal('WebSocket', WebSocket);
  house = await openHouse('--rate', '50', '--price-every', '1');
  proxy = await openCuttingProxy(house.port);
  record = recordOf(`${house.origin}/events`);
  await until(() => record.all.length > 10, 'the record begins');
});
afterEach(() => {
  live?.close();
  proxy.budget = () => Infinity;
});
afterAll(async () => {
  record?.close();
  await proxy?.close();
  await house?.close();
  vi.unstubAllGlobals();
});

/** Cuts `count` connections: most after some bytes, wherever that is, and some at any time. */
async function cut(proxy, count) {
  const begin = proxy.cuts;
  const done = () => proxy.cuts - begin >= count;
  proxy.budget = () => (done() ? Infinity : Math.floor(Math.random() ** 2 * 30_000));
  while (!done()) {
    await someTime(1_500);
    if (!done() && Math.random() < 0.5) proxy.cutAll();
  }
}

describe.each(['sse', 'websocket'])('safety 133, by %s', (transport) => {
  it(`${CUTS} cuts lose nothing`, { timeout: 600_000 }, async () => {
    live = new LiveClient({ url: `${proxy.origin}/events`, transport });
    const states = new Map();
    live.onConnection(({ state }) => states.set(state, (states.get(state) ?? 0) + 1));
    const all = follow(live, {});
    await until(() => all.told.some(isId), 'the first update');
    const [cuts, midFrame] = [proxy.cuts, proxy.midFrame];
    await cut(proxy, CUTS);
    const seen = all.told.length;
    await until(() => all.told.length > seen + 20, 'it goes on');
    all.stop();
    const told = await judge(all, record);
    expect(proxy.cuts - cuts).toBeGreaterThanOrEqual(CUTS);
    expect(told).toBeGreaterThan(CUTS);
    console.log(
      `${transport}: ${proxy.cuts - cuts} cuts, ${proxy.midFrame - midFrame} of them after some bytes; ` +
        `${told} messages, each once and in order; live ${states.get('live')} times`,
    );
  });

  it(`nor ${CUTS} while subscriptions come and go`, { timeout: 600_000 }, async () => {
    const named = () => [...new Set(record.all.flatMap((one) => (one.type === 'resync' ? [] : [one.subject])))];
    const subjects = await until(() => named().length === 4 && named(), 'all four auctions');
    live = new LiveClient({ url: `${proxy.origin}/events`, transport });
    const stays = follow(live, { subjects: subjects.slice(0, 1) });
    await until(() => stays.told.some(isId), 'the first update');
    const begin = proxy.cuts;
    const cutting = cut(proxy, CUTS);
    const followed = [];
    let isOver = false;
    void cutting.then(() => (isOver = true));
    while (!isOver) {
      const subject = subjects[Math.floor(Math.random() * 4)];
      const one = follow(live, Math.random() < 0.1 ? {} : { subjects: [subject] });
      followed.push(one);
      await someTime(300);
      if (Math.random() < 0.8) one.stop();
    }
    await cutting;
    const seen = stays.told.length;
    await until(() => stays.told.length > seen + 10, 'it goes on');
    for (const one of [stays, ...followed]) one.stop();
    const told = await judge(stays, record);
    let others = 0;
    for (const one of followed) others += await judge(one, record);
    expect(told).toBeGreaterThan(CUTS);
    console.log(
      `${transport}: ${proxy.cuts - begin} cuts, ${followed.length} subscriptions that came and went; ` +
        `${told} and ${others} messages, each once and in order`,
    );
  });
});

describe('safety 133, on two nodes with one Redis', () => {
  let redis, nodes, between, told;

  beforeAll(async () => {
    redis = await openRedis();
    nodes = [];
    for (const events of ['recorded', 'none']) {
      nodes.push(await openHouse('--rate', '50', '--price-every', '1', '--events', events, '--redis', redis.url));
    }
    // Each connection is with one or the other.
    between = await openCuttingProxy(() => nodes[Math.floor(Math.random() * 2)].port);
    told = recordOf(`${nodes[0].origin}/events`);
    await until(() => told.all.length > 10, 'the record begins');
  });
  afterAll(async () => {
    told?.close();
    await between?.close();
    for (const node of nodes) await node.close();
    await redis?.close();
  });

  it.each(['sse', 'websocket'])(`${CUTS} cuts lose nothing, by %s`, { timeout: 600_000 }, async (transport) => {
    live = new LiveClient({ url: `${between.origin}/events`, transport });
    const all = follow(live, {});
    await until(() => all.told.some(isId), 'the first update');
    const begin = between.cuts;
    await cut(between, CUTS);
    between.budget = () => Infinity;
    const seen = all.told.length;
    await until(() => all.told.length > seen + 20, 'it goes on');
    all.stop();
    const count = await judge(all, told);
    expect(count).toBeGreaterThan(CUTS);
    console.log(`${transport}, two nodes: ${between.cuts - begin} cuts; ${count} messages, each once and in order`);
  });

  it('says so when Redis has lost the log, and goes on in the new one', { timeout: 120_000 }, async () => {
    live = new LiveClient({ url: `${between.origin}/events` });
    const all = follow(live, {});
    await until(() => all.told.some(isId), 'the first update');
    const [epoch] = all.told.find(isId).split('-');
    await redis.say('FLUSHALL');
    const isNew = (id) => isId(id) && !id.startsWith(`${epoch}-`);
    await until(() => all.told.filter(isNew).length > 5, 'updates of another epoch');
    expect(isId(all.told[all.told.findIndex(isNew) - 1]), 'a resync comes first').toBe(false);
    const ids = all.told.filter(isId);
    expect(new Set(ids).size).toBe(ids.length);
  });
});

it('closes all it opened', async () => {
  live = new LiveClient({ url: `${house.origin}/events` });
  const one = follow(live, {});
  await until(() => one.told.length > 0, 'the first update');
  one.stop();
  await until(() => live.connection.state === 'idle', 'it is idle');
});
