import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ResourceStore } from '../src/index.js';
import { beginFake, endFake, pass } from './support/fakes.js';

const PATH = '/auctions/1';

/** Live updates that come when the test says so. */
class FakeLive {
  subscriptions = new Set();
  subscribe(filter, handlers) {
    const subscription = { filter, handlers };
    this.subscriptions.add(subscription);
    return () => this.subscriptions.delete(subscription);
  }
  tell(name, value) {
    for (const { handlers } of [...this.subscriptions]) handlers[name]?.(value);
  }
  update = (id) => this.tell('update', Object.freeze({ id }));
}

/** A server that answers when the test says so. */
class FakeServer {
  pending = [];
  asked = [];
  most = 0;
  fetch = (url, { signal }) =>
    new Promise((resolve, reject) => {
      const request = { url, signal, isOpen: true };
      const settle = (done) => (value) => {
        if (!request.isOpen) return;
        request.isOpen = false;
        this.pending = this.pending.filter((one) => one !== request);
        done(value);
      };
      request.answer = settle((response) => resolve(response));
      request.fail = settle(reject);
      signal.addEventListener('abort', () => request.fail(new DOMException('aborted', 'AbortError')));
      this.asked.push(url);
      this.pending.push(request);
      this.most = Math.max(this.most, this.pending.length);
    });
  async json(data, init) {
    this.pending[0].answer(Response.json(data, init));
    await pass(0);
  }
}

let live, server, store, snapshots;
const last = () => snapshots.at(-1);
const watch = (path = PATH, options = {}) =>
  store.watch(path, { subjects: ['auction:1'], ...options }, (snapshot) => snapshots.push(snapshot));

beforeEach(() => {
  beginFake();
  live = new FakeLive();
  server = new FakeServer();
  store = new ResourceStore({ live, base: 'http://api', fetch: server.fetch });
  snapshots = [];
});
afterEach(async () => {
  store.close();
  await pass(0);
  expect(vi.getTimerCount(), 'timers after close').toBe(0);
  expect(server.pending, 'requests after close').toEqual([]);
  expect(live.subscriptions.size, 'subscriptions after close').toBe(0);
  endFake();
});

describe('a resource', () => {
  it('is fetched at once, and says what came of it', async () => {
    watch();
    expect(server.asked).toEqual(['http://api/auctions/1']);
    expect(store.get(PATH)).toMatchObject({ path: PATH, state: 'loading', refreshing: true, cause: { kind: 'first' } });
    const headers = { 'cache-status': 'tagcache; hit; ttl=9' };
    await server.json({ price: '5' }, { headers });
    expect(last()).toBe(store.get(PATH));
    expect(last()).toMatchObject({ state: 'ready', data: { price: '5' }, error: null, refreshing: false });
    expect(last().response).toMatchObject({ status: 200, cacheStatus: 'tagcache; hit; ttl=9', startedAt: Date.now() });
    expect(Object.isFrozen(last()) && Object.isFrozen(last().response)).toBe(true);
  });

  it('is fetched again for an update, a resync, the first connection, and by hand', async () => {
    watch();
    await server.json(1);
    const update = Object.freeze({ id: '7-1.0' });
    for (const [tell, cause] of [
      [() => live.tell('update', update), { kind: 'update', update }],
      [() => live.tell('resync', 'a gap'), { kind: 'resync', reason: 'a gap' }],
      [() => live.tell('opened'), { kind: 'resync', reason: 'connected' }],
      [() => store.refresh(PATH), { kind: 'manual' }],
    ]) {
      tell();
      await pass(100);
      expect(last()).toMatchObject({ state: 'ready', data: 1, refreshing: true, cause });
      await server.json(1);
      expect(last()).toMatchObject({ refreshing: false, cause });
    }
    expect(server.asked).toHaveLength(5);
  });

  it('asks for its subjects', () => {
    watch();
    watch('/auctions', { subjects: 'all', types: ['sale'] });
    expect([...live.subscriptions].map((one) => one.filter)).toEqual([
      { subjects: ['auction:1'], types: undefined },
      { subjects: undefined, types: ['sale'] },
    ]);
  });

  it('is fetched once more, and once only, for what happens meanwhile', async () => {
    watch();
    for (let n = 0; n < 1_000; n += 1) live.update(`7-${n}.0`);
    expect(server.asked).toHaveLength(1);
    await server.json('old');
    expect(last()).toMatchObject({ data: 'old', refreshing: true });
    await pass(100);
    expect(last()).toMatchObject({ data: 'old', refreshing: true, cause: { kind: 'update', update: { id: '7-999.0' } } });
    expect(server.asked).toHaveLength(2);
    await server.json('new');
    expect(server.asked).toHaveLength(2);
    expect(last()).toMatchObject({ data: 'new', refreshing: false });
    expect(server.most).toBe(1);
  });

  it.each([
    [1, 11],
    [40, 11],
    [200, 6],
  ])('is asked for once at a time, and ten times a second, under a thousand updates a second: %i ms', async (takes, asked) => {
    watch();
    for (let n = 0; n < 1_000; n += 1) {
      live.update(`7-${n}.0`);
      await pass(1);
      if (server.pending.length > 0 && n % takes === takes - 1) await server.json(n);
    }
    expect(server.most).toBe(1);
    expect(server.asked.length).toBeGreaterThanOrEqual(asked - 2);
    expect(server.asked.length).toBeLessThanOrEqual(asked);
  });

  it('is not put off because the clock is set back', async () => {
    watch();
    await server.json(1);
    live.update('7-1.0');
    await server.json(2);
    vi.setSystemTime(Date.now() - 3_600_000);
    live.update('7-2.0');
    await pass(100);
    await server.json(3);
    expect(last()).toMatchObject({ data: 3, refreshing: false });
  });

  it('is asked for at once when a quiet time ends', async () => {
    watch();
    await server.json(1);
    await pass(1);
    live.update('7-1.0');
    expect(server.asked).toHaveLength(2);
  });

  it('is fetched once for several who watch', async () => {
    const other = [];
    watch();
    store.watch(PATH, { subjects: 'all' }, (snapshot) => other.push(snapshot));
    await server.json(1);
    live.update('7-1.0');
    live.tell('resync', 'a gap');
    await server.json(2);
    await pass(100);
    expect(server.asked).toHaveLength(3);
    await server.json(3);
    live.tell('resync', 'a gap');
    await pass(100);
    expect(server.asked).toHaveLength(4);
    await server.json(4);
    expect(server.asked).toHaveLength(4);
    expect(other.at(-1)).toBe(last());
  });

  it('that is text is text', async () => {
    watch();
    server.pending[0].answer(new Response('hello'));
    await pass(0);
    expect(last()).toMatchObject({ state: 'ready', data: 'hello' });
  });
});

describe('a failure', () => {
  it('without data is shown, and tried again', async () => {
    watch();
    server.pending[0].fail(new TypeError('no network'));
    await pass(0);
    expect(last()).toMatchObject({ state: 'failed', error: { status: null, message: 'no network' }, response: null });
    await pass(1_000);
    expect(last()).toMatchObject({ refreshing: true, cause: { kind: 'retry' } });
    await server.json(1);
    expect(last()).toMatchObject({ state: 'ready', data: 1, error: null });
  });

  it('with data keeps it', async () => {
    watch();
    await server.json(1);
    live.update('7-1.0');
    await server.json({ detail: 'the database is down' }, { status: 500 });
    expect(last()).toMatchObject({ state: 'ready', data: 1, error: { status: 500, message: 'the database is down' } });
    expect(last().response.status).toBe(500);
  });

  it('is tried again after longer and longer times, whatever happens meanwhile', async () => {
    watch();
    const waits = [];
    for (let n = 0; n < 7; n += 1) {
      await server.json({}, { status: 503 });
      const from = Date.now();
      for (let m = 0; server.pending.length === 0; m += 1) {
        live.update(`7-${n}${m}.0`);
        await pass(100);
      }
      waits.push(Date.now() - from);
    }
    expect(waits).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
    expect(last().cause).toMatchObject({ kind: 'update' });
    store.refresh(PATH);
    await server.json({}, { status: 503, headers: { 'retry-after': '60' } });
    store.refresh(PATH);
    expect(server.pending).toHaveLength(1);
    await server.json({}, { status: 503, headers: { 'retry-after': '60' } });
    await pass(60_000);
    expect(server.pending).toHaveLength(0);
    await pass(30_000);
    expect(server.pending).toHaveLength(1);
  });

  it.each([404, 410, 403, 400])('that is an answer, %i, stays until something happens', async (status) => {
    watch();
    await server.json(1);
    live.update('7-1.0');
    await server.json({}, { status });
    expect(last()).toMatchObject({ state: 'failed', data: undefined, error: { status } });
    await pass(600_000);
    expect(server.asked).toHaveLength(2);
    live.update('7-2.0');
    await server.json(2);
    expect(last()).toMatchObject({ state: 'ready', data: 2, error: null });
  });

  it('is to be no JSON, or to take too long', async () => {
    watch();
    server.pending[0].answer(new Response('{', { headers: { 'content-type': 'application/json' } }));
    await pass(0);
    expect(last()).toMatchObject({ state: 'failed', error: { status: null } });
    await pass(1_000);
    await pass(30_000);
    expect(last().error.message).toBe('no answer within 30 s');
  });
});

describe('who leaves', () => {
  it('ends the fetch, and is told nothing', async () => {
    const answers = [];
    store.onResponse((snapshot) => answers.push(snapshot));
    const unwatch = watch();
    const [request] = server.pending;
    unwatch();
    unwatch();
    await pass(0);
    expect(request.signal.aborted).toBe(true);
    expect(store.get(PATH)).toBeUndefined();
    expect(snapshots).toEqual([]);
    expect(answers).toEqual([]);
    live.update('7-1.0');
    expect(server.asked).toHaveLength(1);
  });

  it('and comes back at once, finds it as it was', async () => {
    watch()();
    watch();
    await pass(0);
    expect(server.asked).toHaveLength(1);
    await server.json(1);
    expect(last()).toMatchObject({ state: 'ready', data: 1 });
  });

  it('leaves the others their resource', async () => {
    const stop = watch();
    watch();
    stop();
    await pass(0);
    await server.json(1);
    expect(snapshots.at(-1)).toMatchObject({ data: 1 });
  });
});

describe('many resources', () => {
  it('are not held up by requests that heed no signal', async () => {
    const deaf = new ResourceStore({ live, base: 'http://api', fetch: () => new Promise(() => {}), maxConcurrent: 1 });
    deaf.watch('/hangs', {}, () => {});
    deaf.watch('/waits', {}, () => {});
    await pass(31_000);
    expect(deaf.get('/hangs')).toMatchObject({ state: 'failed', error: { message: 'no answer within 30 s' } });
    await pass(31_000);
    expect(deaf.get('/waits')).toMatchObject({ state: 'failed' });
    deaf.close();
  });

  it('are fetched so many at once', async () => {
    for (let n = 0; n < 20; n += 1) watch(`/auctions/${n}`);
    expect(server.pending).toHaveLength(6);
    // Those in line are not asked for twice.
    live.update('7-1.0');
    for (let n = 0; n < 26; n += 1) {
      if (server.pending.length === 0) await pass(100);
      await server.json(n);
    }
    expect(server.pending).toHaveLength(0);
    expect(server.most).toBe(6);
    expect(server.asked).toHaveLength(26);
  });

  it('that are not wanted any more leave the line', async () => {
    const stops = Array.from({ length: 20 }, (_, n) => watch(`/auctions/${n}`));
    stops.slice(1).forEach((stop) => stop());
    await pass(0);
    expect(server.asked).toHaveLength(6);
    expect(server.pending).toHaveLength(1);
    await server.json(0);
    expect(server.asked).toHaveLength(6);
  });

  it('tell of every answer', async () => {
    const answers = [];
    const off = store.onResponse((snapshot) => answers.push([snapshot.path, snapshot.response?.status ?? null]));
    watch('/a');
    watch('/b');
    await server.json(1);
    await server.json({}, { status: 404 });
    watch('/c');
    server.pending[0].fail(new Error('no network'));
    await pass(0);
    off();
    watch('/d');
    await server.json(1);
    expect(answers).toEqual([['/a', 200], ['/b', 404], ['/c', null]]);
  });
});
