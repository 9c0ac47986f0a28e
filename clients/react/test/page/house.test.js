// A component against the real server, through a proxy that cuts its connections: it shows what an uncut stream said.
import { cleanup, render } from '@testing-library/react';
import { createElement as h } from 'react';
import { EventSource } from 'eventsource';
import { WebSocket } from 'ws';
import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest';
import { openCuttingProxy } from '../../../web/test/support/cutting-proxy.js';
import { openHouse } from '../../../web/test/support/house.js';
import { someTime, until } from '../../../web/test/support/until.js';
import { TagcacheProvider, useLiveUpdates, useRealtimeAuction } from '../../src/index.js';

const CUTS = Number(process.env.CUTS ?? 100);

let house, proxy, record, source;

beforeAll(async () => {
  // Frames come when they come.
  globalThis.IS_REACT_ACT_ENVIRONMENT = false;
  vi.stubGlobal('EventSource', EventSource);
  vi.stubGlobal('WebSocket', WebSocket);
  house = await openHouse('--rate', '50', '--price-every', '1');
  proxy = await openCuttingProxy(house.port);
  source = new EventSource(`${house.origin}/events`);
  record = [];
  const note = ({ data }) => record.push(JSON.parse(data));
  source.addEventListener('auction_update', note);
  source.addEventListener('resync', note);
  await until(() => record.length > 0);
});
afterEach(cleanup);
afterAll(async () => {
  source?.close();
  await proxy?.close();
  await house?.close();
  vi.unstubAllGlobals();
});

it.each(['sse', 'websocket'])(`shows every update, once and in order, over ${CUTS} cuts, by %s`, { timeout: 600_000 }, async (transport) => {
  const told = [];
  const onUpdate = (update) => told.push(update.id);
  const onResync = (reason) => told.push(reason);
  let shown, address;
  const Page = ({ n }) => {
    shown = useLiveUpdates({}, { onUpdate, onResync });
    // Changes what is asked for, now and then.
    useRealtimeAuction(n % 2 ? address : null);
    useLiveUpdates({ types: [`none-${n}`] });
    return null;
  };
  const page = (n) => h(TagcacheProvider, { baseUrl: proxy.origin, transport }, h(Page, { n }));
  address = record.find((one) => one.subject).subject.split(':')[1];
  const { rerender } = render(page(0));
  await until(() => told.some((one) => one.includes('.')));
  const begin = proxy.cuts;
  for (let n = 1; proxy.cuts - begin < CUTS; n += 1) {
    proxy.budget = () => (proxy.cuts - begin < CUTS ? Math.floor(Math.random() * 20_000) : Infinity);
    await someTime(400);
    rerender(page(n));
    if (n % 3 === 0) proxy.cutAll();
  }
  proxy.budget = () => Infinity;
  const seen = told.length;
  await until(() => told.length > seen + 50);
  cleanup();
  const last = told.findLast((one) => one.includes('.'));
  await until(() => record.some((one) => one.id === last));
  const first = told.findIndex((one) => one.includes('.'));
  const got = told.slice(first, told.lastIndexOf(last) + 1);
  const all = record.map((one) => (one.type === 'resync' ? one.reason : one.id));
  expect(got).toEqual(all.slice(all.indexOf(told[first]), all.indexOf(last) + 1));
  // The list is of what came since the last resync, as of the last frame.
  const ids = shown.updates.map((update) => update.id);
  expect(ids.length).toBeLessThanOrEqual(50);
  const from = told.indexOf(ids.at(-1));
  expect(told.slice(from, from + ids.length)).toEqual([...ids].reverse());
  console.log(`${transport}: ${proxy.cuts - begin} cuts, ${got.length} messages, each once and in order`);
});
