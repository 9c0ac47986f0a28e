// Against the real server.

import { EventSource } from 'eventsource';
import { WebSocket } from 'ws';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ActivityFeed, LiveClient, ResourceStore } from '../src/index.js';
import { openCuttingProxy } from './support/cutting-proxy.js';
import { openHouse } from './support/house.js';
import { someTime, until } from './support/until.js';

const AUCTION = '0xA16E02E87b7454126E5E10d957A927A7F5B5d2be';

let house, proxy, live, told;

beforeEach(() => {
  vi.stubGlobal('EventSource', EventSource);
  vi.stubGlobal('WebSocket', WebSocket);
  told = [];
});
afterEach(async () => {
  live?.close();
  await proxy?.close();
  await house?.close();
  vi.unstubAllGlobals();
});

const open = async (transport, ...options) => {
  house = await openHouse(...options);
  proxy = await openCuttingProxy(house.port);
  live = new LiveClient({ url: `${proxy.origin}/events`, transport });
};
const follow = (filter = {}) =>
  live.subscribe(filter, {
    update: (update) => told.push(update),
    resync: (reason) => told.push(reason),
    opened: () => told.push('opened'),
  });
const isLive = () => live.connection.state === 'live';

describe.each(['sse', 'websocket'])('by %s', (transport) => {
  it('knows where it is before anything happens, and resumes there', async () => {
    await open(transport, '--events', 'none');
    const name = transport === 'sse' ? 'EventSource' : 'WebSocket';
    const asked = [];
    vi.stubGlobal(
      name,
      class extends globalThis[name] {
        constructor(url) {
          super(url);
          asked.push(String(url));
        }
      },
    );
    follow();
    await until(async () => {
      // It is told the place right behind the head, and nobody says so here.
      await someTime(200);
      await until(isLive);
      proxy.cutAll();
      await until(() => !isLive());
      // Not after the growing pauses of connections that break at once.
      live.reconnect();
      return asked.some((url) => /last_event_id=\d+-\d+$/.test(url));
    });
    await until(isLive);
    expect(told[0]).toBe('opened');
    expect(told.slice(1).filter((one) => !one.startsWith('what happened between'))).toEqual([]);
  });

  it('says that another life of the log began, and goes on in it', async () => {
    await open(transport, '--rate', '50');
    follow();
    await until(() => told.filter((one) => one.id).length > 5);
    const epoch = told.find((one) => one.id).id.split('-')[0];
    await house.close();
    house = await openHouse('--rate', '50');
    proxy.port = house.port;
    const inNew = (one) => one.id && !one.id.startsWith(`${epoch}-`);
    await until(() => told.some(inNew));
    const [before] = told.slice(told.findIndex(inNew) - 1);
    expect(String(before)).toMatch(/anew|joined|reached/);
  });

  it('hears that the server shuts down', async () => {
    await open(transport, '--events', 'none');
    follow();
    await until(isLive);
    const reasons = [];
    live.onConnection(({ state, reason }) => reasons.push(`${state}: ${reason}`));
    void house.close('SIGINT');
    await until(() => reasons.includes('waiting: the server is shutting down; connect again'));
  });

  it('is told why it is refused', async () => {
    await open(transport, '--events', 'none');
    follow({ subjects: ['auction:0x1'] });
    await until(() => live.connection.state === 'refused');
    expect(live.connection.reason).toContain('"auction:0x1" is not like auction:{address}');
  });

  it('is told of one auction, and of alerts by those who ask', async () => {
    await open(transport, '--rate', '50');
    const alerts = [];
    follow({ subjects: [`auction:${AUCTION}`], types: ['sale'] });
    live.subscribe({ types: ['alert'] }, { update: (update) => alerts.push(update) });
    await until(() => told.filter((one) => one.id).length > 3 && alerts.length > 0);
    const subjects = new Set(told.filter((one) => one.id).map((one) => `${one.type} ${one.subject}`));
    expect([...subjects]).toEqual([`sale auction:${AUCTION.toLowerCase()}`]);
    expect(alerts[0]).toMatchObject({ type: 'alert', subject: 'alerts:big-sale', data: { rule: 'big-sale' } });
  });
});

it('shows what is there and what happened', async () => {
  await open('sse', '--rate', '20');
  const store = new ResourceStore({ live, base: house.origin });
  const feed = new ActivityFeed({ live, url: `${house.origin}/activity`, limit: 5, types: ['sale'] });
  const seen = [];
  const path = `/auctions/${AUCTION}`;
  feed.onChange(() => {});
  store.watch(path, { subjects: [`auction:${AUCTION}`] }, (snapshot) => seen.push(snapshot));
  await until(() => seen.some(({ cause, refreshing }) => cause.kind === 'update' && !refreshing));
  const last = store.get(path);
  expect(last).toMatchObject({ state: 'ready', data: { address: AUCTION.toLowerCase() }, response: { status: 200 } });
  expect(last.response.cacheStatus).toMatch(/^tagcache; /);
  await until(() => feed.snapshot.entries.length === 5 && feed.snapshot.more);
  expect(feed.snapshot.entries[0]).toMatchObject({ type: 'sale', network: 'local' });
  await feed.loadMore();
  expect(feed.snapshot.entries.length).toBeGreaterThan(5);
  store.close();
  feed.close();
});
