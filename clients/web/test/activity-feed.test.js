import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { ActivityFeed } from '../src/index.js';
import { beginFake, endFake, pass } from './support/fakes.js';

/** A feed of so many entries, the newest with the highest number. */
let size, asked, live, feed, fail, hold, holdNewest;

const fetch = async (url) => {
  asked.push(url);
  if (fail) throw new TypeError('no network');
  const query = new URL(url).searchParams;
  await (query.has('cursor') ? hold : holdNewest);
  const end = query.has('cursor') ? Number(query.get('cursor')) : size + 1;
  const begin = Math.max(1, end - Number(query.get('limit')));
  const entries = Array.from({ length: end - begin }, (_, n) => ({ id: String(end - 1 - n), type: 'sale' }));
  return Response.json({ entries, next: begin > 1 ? String(begin) : null });
};
const ids = () => feed.snapshot.entries.map((entry) => Number(entry.id));
const begin = (options = {}) => {
  feed = new ActivityFeed({ live, url: 'http://api/activity', fetch, limit: 3, ...options });
  return feed.onChange(() => {});
};

beforeEach(() => {
  beginFake();
  [size, asked, fail, hold, holdNewest] = [10, [], false, null, null];
  live = {
    handlers: null,
    filter: null,
    subscribe(filter, handlers) {
      Object.assign(live, { filter, handlers });
      return () => Object.assign(live, { handlers: null });
    },
  };
});
afterEach(async () => {
  feed.close();
  await pass(0);
  expect(vi.getTimerCount()).toBe(0);
  expect(live.handlers).toBeNull();
  endFake();
});

it('does nothing until somebody listens, and ends when nobody does', async () => {
  feed = new ActivityFeed({ live, fetch });
  expect(feed.snapshot).toEqual({ state: 'loading', entries: [], error: null, more: false });
  await pass(1_000);
  expect(asked).toEqual([]);
  const off = begin();
  await pass(0);
  live.handlers.update({});
  off();
  await pass(0);
  expect(vi.getTimerCount()).toBe(0);
  expect(live.handlers).toBeNull();
});

it('loads the newest, and older ones by their cursor', async () => {
  begin({ auction: '0xA', types: ['sale', 'kick'] });
  await pass(0);
  expect(asked).toEqual(['http://api/activity?limit=3&auction=0xA&type=sale,kick']);
  expect(live.filter).toEqual({ subjects: ['auction:0xA'], types: ['sale', 'kick'] });
  expect(feed.snapshot).toMatchObject({ state: 'ready', more: true });
  expect(ids()).toEqual([10, 9, 8]);
  await Promise.all([feed.loadMore(), feed.loadMore()]);
  expect(asked.at(-1)).toContain('cursor=8');
  expect(ids()).toEqual([10, 9, 8, 7, 6, 5]);
  while (feed.snapshot.more) await feed.loadMore();
  await feed.loadMore();
  expect(ids()).toEqual([10, 9, 8, 7, 6, 5, 4, 3, 2, 1]);
  expect(asked).toHaveLength(4);
});

it('loads again what is shown, once for many updates and once more for who is late', async () => {
  begin();
  await pass(0);
  await feed.loadMore();
  const before = asked.length;
  for (let n = 0; n < 100; n += 1) live.handlers.update({});
  size = 11;
  await pass(500);
  expect(asked.slice(before)).toEqual(['http://api/activity?limit=6']);
  expect(ids()).toEqual([11, 10, 9, 8, 7, 6]);
  size = 12;
  await pass(2_000);
  expect(asked.slice(before)).toHaveLength(2);
  expect(ids()).toEqual([12, 11, 10, 9, 8, 7]);
  await pass(100_000);
  expect(asked.slice(before)).toHaveLength(2);
  live.handlers.resync('a gap');
  await pass(500);
  expect(asked.slice(before)).toHaveLength(3);
});

it('leaves no hole if it is loaded again while more is loaded', async () => {
  begin();
  await pass(0);
  let release;
  hold = new Promise((resolve) => (release = resolve));
  const more = feed.loadMore();
  await pass(0);
  size = 15;
  feed.refresh();
  await pass(0);
  expect(ids()).toEqual([15, 14, 13]);
  release();
  await more;
  expect(ids()).toEqual([15, 14, 13, 12, 11, 10]);
});

it('keeps what was loaded while it was being loaded again', async () => {
  begin();
  await pass(0);
  let release;
  holdNewest = new Promise((resolve) => (release = resolve));
  feed.refresh();
  await pass(0);
  await feed.loadMore();
  expect(ids()).toEqual([10, 9, 8, 7, 6, 5]);
  holdNewest = null;
  release();
  await pass(0);
  expect(asked.at(-1)).toContain('limit=6');
  expect(ids()).toEqual([10, 9, 8, 7, 6, 5]);
});

it('does not ask more often for what happens while the server is in trouble', async () => {
  begin();
  await pass(0);
  fail = true;
  const before = asked.length;
  for (let n = 0; n < 200; n += 1) {
    live.handlers.update({});
    await pass(100);
  }
  // After 1, 2, 4 and 8 seconds.
  expect(asked.length - before).toBeLessThanOrEqual(6);
});

it('keeps what it has when it fails, and says so', async () => {
  begin();
  await pass(0);
  fail = true;
  await feed.loadMore();
  expect(feed.snapshot).toMatchObject({ state: 'ready', error: { message: 'no network' }, more: true });
  feed.refresh();
  await pass(0);
  expect(ids()).toEqual([10, 9, 8]);
  fail = false;
  await pass(1_000);
  expect(feed.snapshot).toMatchObject({ state: 'ready', error: null });
});
