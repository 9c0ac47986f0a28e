// @vitest-environment jsdom
// @vitest-environment-options { "url": "http://page.example/shop/" }
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { LiveClient } from '../src/index.js';
import { FakeEventSource, beginFake, connected, endClient, listener, pass } from './support/fakes.js';

let live;
beforeEach(() => {
  beginFake();
  live = new LiveClient();
});
afterEach(() => endClient(live));

describe('it comes back', () => {
  /** Fails to open, again and again, and says how long it waited each time. */
  const waits = async (count) => {
    const waits = [];
    for (let n = 0; n < count; n += 1) {
      FakeEventSource.last.break();
      await pass(0);
      waits.push(live.connection.retryAt - Date.now());
      expect(live.connection).toMatchObject({ state: 'waiting', attempt: n + 1 });
      await pass(waits.at(-1));
    }
    return waits;
  };

  it('after longer and longer times, any of which may be shorter', async () => {
    live.subscribe({}, {});
    await pass(0);
    expect(await waits(9)).toEqual([250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
    Math.random.mockReturnValue(0.5);
    FakeEventSource.last.break();
    await pass(0);
    expect(live.connection.retryAt - Date.now()).toBe(15_000);
  });

  it.each([
    ['lasted', async () => pass(6_000), 250],
    ['told something new', async () => FakeEventSource.last.update('7-2.0'), 500],
    ['told what is known', async () => FakeEventSource.last.update('7-1.0'), 1_000],
    ['told of a gap only', async () => FakeEventSource.last.resync('7-2'), 1_000],
    ['was only open', async () => pass(1_000), 1_000],
    ['said only where it is', async () => FakeEventSource.last.position('7-3'), 1_000],
  ])('soon, if the last connection %s', async (_, happens, expected) => {
    live.subscribe({}, {});
    await pass(0);
    await waits(2);
    FakeEventSource.last.accept('7-1');
    await happens();
    FakeEventSource.last.break();
    expect(live.connection.retryAt - Date.now()).toBe(expected);
  });

  it('also if nobody was there when the time came', async () => {
    const stop = live.subscribe({}, {});
    await pass(0);
    FakeEventSource.last.accept('7-1').break();
    stop();
    await pass(400);
    const late = listener();
    live.subscribe({}, late);
    await pass(1_000);
    expect(FakeEventSource.all).toHaveLength(2);
    FakeEventSource.last.accept('7-1');
    expect(live.connection.state).toBe('live');
  });

  it('also if nobody was there when the page was taken out again', async () => {
    const stop = live.subscribe({}, {});
    await pass(0);
    FakeEventSource.last.accept('7-1');
    window.dispatchEvent(new Event('pagehide'));
    stop();
    window.dispatchEvent(new Event('pageshow'));
    live.subscribe({}, {});
    await pass(1_000);
    expect(FakeEventSource.all).toHaveLength(2);
  });

  it('also if the clock was set back meanwhile', async () => {
    live.subscribe({ subjects: ['auction:1'] }, {});
    await pass(0);
    FakeEventSource.last.accept('7-1');
    vi.setSystemTime(Date.now() - 3_600_000);
    live.subscribe({ subjects: ['auction:2'] }, {});
    await pass(1_000);
    expect(FakeEventSource.all).toHaveLength(2);
    FakeEventSource.last.accept('7-1');
    await pass(60_000);
    expect(FakeEventSource.all).toHaveLength(3);
  });

  it.each([
    ['online', () => window.dispatchEvent(new Event('online'))],
    ['pageshow', () => window.dispatchEvent(new Event('pageshow'))],
    ['visibilitychange', () => document.dispatchEvent(new Event('visibilitychange'))],
    ['reconnect()', () => live.reconnect()],
  ])('at once on %s', async (_, happens) => {
    live.subscribe({}, {});
    await pass(0);
    await waits(7);
    FakeEventSource.last.break();
    await pass(0);
    const before = FakeEventSource.all.length;
    happens();
    await pass(0);
    expect(FakeEventSource.all).toHaveLength(before + 1);
    expect(live.connection.state).toBe('connecting');
  });

  it('not sooner because more is wanted, and then for all', async () => {
    live.subscribe({ subjects: ['auction:1'] }, {});
    await pass(0);
    await waits(5);
    FakeEventSource.last.break();
    await pass(0);
    const before = FakeEventSource.all.length;
    live.subscribe({ subjects: ['auction:2'] }, {});
    await pass(7_900);
    expect(FakeEventSource.all).toHaveLength(before);
    await pass(100);
    expect(FakeEventSource.last.query).toBe('subject=auction:1,auction:2');
  });

  it('when the page is taken out again, and holds nothing in the meantime', async () => {
    live.subscribe({}, {});
    await connected('7-1');
    window.dispatchEvent(new Event('pagehide'));
    expect(FakeEventSource.open).toEqual([]);
    expect(vi.getTimerCount()).toBe(0);
    expect(live.connection.state).toBe('waiting');
    window.dispatchEvent(new Event('pageshow'));
    await pass(0);
    expect(FakeEventSource.last.query).toBe('last_event_id=7-1');
  });

  it('if nothing at all was heard for 45 s', async () => {
    live.subscribe({}, {});
    const source = await connected('7-1');
    await pass(44_000);
    source.position('7-2');
    await pass(44_000);
    expect(FakeEventSource.all).toHaveLength(1);
    await pass(17_000);
    expect(source.readyState).toBe(2);
    expect(FakeEventSource.last.query).toBe('last_event_id=7-2');
  });

  it('not for the silence of a server that never breaks it', async () => {
    live.subscribe({}, {});
    const source = await connected();
    source.update('7-2.0');
    await pass(600_000);
    expect(FakeEventSource.all).toHaveLength(1);
  });

  it('if the server does not answer at all', async () => {
    live.subscribe({}, {});
    await pass(21_000);
    expect(FakeEventSource.all.length).toBeGreaterThan(1);
  });

  it('not after close()', async () => {
    const all = listener();
    live.subscribe({}, all);
    const source = await connected('7-1');
    live.close();
    source.update('7-2.0');
    source.break();
    window.dispatchEvent(new Event('online'));
    await pass(100_000);
    expect(FakeEventSource.all).toHaveLength(1);
    expect(all.told).toEqual(['opened']);
    expect(live.connection.state).toBe('closed');
    live.subscribe({}, {})();
    expect(live.connection.state).toBe('closed');
  });
});

describe('what the server says', () => {
  it.each([
    ['too slow', 250],
    ['the server is shutting down; connect again', 2_250],
  ])('at the end, %j: comes back within %i ms, from where it was', async (reason, expected) => {
    const all = listener();
    live.subscribe({}, all);
    const source = await connected('7-1');
    source.update('7-2.0');
    source.end(reason);
    expect(live.connection).toMatchObject({ state: 'waiting', reason });
    expect(live.connection.retryAt - Date.now()).toBe(expected);
    await pass(expected);
    FakeEventSource.last.accept();
    expect(FakeEventSource.last.query).toBe('last_event_id=7-2.0');
    expect(all.told).toEqual(['opened', '7-2.0']);
  });

  const problem = (status, detail, headers = {}) =>
    fetch.mockImplementation(async () =>
      Response.json({ detail }, { status, headers: { 'content-type': 'application/problem+json', ...headers } }),
    );

  it('that a filter is none: refused, in its words, and asked again slowly', async () => {
    problem(400, 'subject "x" is not like auction:{address}');
    live.subscribe({ subjects: ['x'] }, {});
    await pass(0);
    FakeEventSource.last.break();
    await pass(0);
    expect(live.connection).toMatchObject({ state: 'refused', reason: 'subject "x" is not like auction:{address}' });
    expect(live.connection.retryAt - Date.now()).toBe(60_000);
    window.dispatchEvent(new Event('online'));
    await pass(59_000);
    expect(FakeEventSource.all).toHaveLength(1);
    await pass(1_000);
    expect(FakeEventSource.all).toHaveLength(2);
    // And at once if something else is wanted.
    FakeEventSource.last.break();
    await pass(0);
    live.subscribe({ subjects: ['auction:1'] }, {});
    await pass(500);
    expect(FakeEventSource.all).toHaveLength(3);
  });

  it('that there are too many: waits as long as it says', async () => {
    problem(503, 'all places are taken', { 'retry-after': '10' });
    live.subscribe({}, {});
    await pass(0);
    FakeEventSource.last.break();
    await pass(0);
    expect(live.connection).toMatchObject({ state: 'waiting', reason: 'all places are taken' });
    expect(live.connection.retryAt - Date.now()).toBe(15_250);
  });

  it('that it is another server', async () => {
    fetch.mockImplementation(async () => new Response('<p>', { headers: { 'content-type': 'text/html' } }));
    live.subscribe({}, {});
    await pass(0);
    FakeEventSource.last.break();
    await pass(0);
    expect(live.connection).toMatchObject({ state: 'refused' });
    expect(live.connection.reason).toContain('text/html');
  });

  it('too late: what was asked for an earlier connection is of no use', async () => {
    let answer;
    fetch.mockImplementation(() => new Promise((resolve) => (answer = resolve)));
    live.subscribe({}, {});
    await pass(0);
    FakeEventSource.last.break();
    await pass(0);
    live.reconnect();
    await pass(0);
    FakeEventSource.last.accept('7-1');
    expect(fetch.mock.calls[0][1].signal.aborted).toBe(true);
    answer(Response.json({ detail: 'no' }, { status: 403 }));
    await pass(1_000);
    expect(live.connection.state).toBe('live');
    expect(FakeEventSource.all).toHaveLength(2);
  });

  it('nothing: tries again', async () => {
    fetch.mockRejectedValue(new TypeError('failed to fetch'));
    live.subscribe({}, {});
    await pass(0);
    FakeEventSource.last.break();
    await pass(0);
    expect(live.connection).toMatchObject({ state: 'waiting', reason: 'the server cannot be reached, or does not let this page in' });
  });
});
