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

describe('one connection for all', () => {
  it('is made when somebody subscribes, and closed a moment after the last left', async () => {
    await pass(1_000);
    expect(FakeEventSource.all).toHaveLength(0);
    expect(live.connection.state).toBe('idle');
    const stop = live.subscribe({}, {});
    expect(live.connection.state).toBe('connecting');
    const source = await connected('7-1');
    expect(source.url).toBe('http://page.example/events');
    expect(live.connection).toMatchObject({ state: 'live', transport: 'sse', attempt: 0, retryAt: null });
    stop();
    stop();
    await pass(100);
    const stopAgain = live.subscribe({}, {});
    await pass(10_000);
    expect(FakeEventSource.all).toHaveLength(1);
    stopAgain();
    await pass(600);
    expect(live.connection.state).toBe('idle');
    expect(vi.getTimerCount()).toBe(0);
  });

  it('asks for the union, and tells each what is theirs', async () => {
    const [one, two, sales] = [listener(), listener(), listener()];
    live.subscribe({ subjects: ['auction:1'] }, one);
    live.subscribe({ subjects: ['auction:2'] }, two);
    live.subscribe({ subjects: ['auction:2'], types: ['sale'] }, sales);
    const source = await connected('7-1');
    expect(FakeEventSource.all).toHaveLength(1);
    expect(source.query).toBe('subject=auction:1,auction:2');
    source.update('7-2.0');
    source.update('7-3.0', { subject: 'auction:2', type: 'kick' });
    source.update('7-4.0', { subject: 'auction:2' });
    expect(one.told).toEqual(['opened', '7-2.0']);
    expect(two.told).toEqual(['opened', '7-3.0', '7-4.0']);
    expect(sales.told).toEqual(['opened', '7-4.0']);
  });

  it('connects anew from the last id when more is wanted, once, and not for what is covered', async () => {
    const first = listener();
    live.subscribe({ subjects: ['auction:1', 'auction:2'] }, first);
    const source = await connected('7-1');
    live.subscribe({ subjects: ['auction:2'] }, {});
    await pass(1_000);
    expect(FakeEventSource.all).toHaveLength(1);
    source.update('7-2.0');
    const added = listener();
    live.subscribe({ subjects: ['auction:3'] }, added);
    live.subscribe({ subjects: ['auction:4'] }, {});
    // Until then the old one goes on telling.
    source.update('7-3.0');
    const second = await connected();
    expect(FakeEventSource.all).toHaveLength(2);
    expect(source.readyState).toBe(2);
    expect(second.query).toBe('subject=auction:1,auction:2,auction:3,auction:4&last_event_id=7-2.0');
    // What the old one left out, and what it did not.
    second.update('7-2.1', { subject: 'auction:3' });
    second.update('7-3.0');
    second.update('7-4.0');
    second.update('7-4.1', { subject: 'auction:3' });
    expect(first.told).toEqual(['opened', '7-2.0', '7-3.0', '7-4.0']);
    // From where the client was when it came on, all is told: nothing is unknown.
    expect(added.told).toEqual(['7-2.1', '7-4.1']);
  });

  it('tells nobody twice what is told again for others, whatever breaks in between', async () => {
    const [first, added, last] = [listener(), listener(), listener()];
    live.subscribe({ subjects: ['auction:1'] }, first);
    const source = await connected('7-1');
    live.subscribe({}, added);
    for (const id of ['7-2.0', '7-4.0', '7-6.0']) source.update(id);
    expect(first.told).toEqual(['opened', '7-2.0', '7-4.0', '7-6.0']);
    expect(added.told).toEqual([]);
    await pass(500);
    expect(FakeEventSource.last.query).toBe('last_event_id=7-1');
    FakeEventSource.last.accept();
    FakeEventSource.last.update('7-2.0');
    FakeEventSource.last.update('7-3.0', { subject: 'auction:2' });
    live.subscribe({ types: ['sale'] }, last);
    FakeEventSource.last.break();
    await pass(500);
    expect(FakeEventSource.last.query).toBe('last_event_id=7-3.0');
    FakeEventSource.last.accept();
    for (const id of ['7-4.0', '7-6.0', '7-7.0']) FakeEventSource.last.update(id);
    expect(first.told).toEqual(['opened', '7-2.0', '7-4.0', '7-6.0', '7-7.0']);
    expect(added.told).toEqual(['7-2.0', '7-3.0', '7-4.0', '7-6.0', '7-7.0']);
    expect(last.told).toEqual(['7-4.0', '7-6.0', '7-7.0']);
  });

  it('says so to who came before the first connection was there, also by another one', async () => {
    live.subscribe({ subjects: ['auction:1'] }, {});
    await pass(0);
    const late = listener();
    live.subscribe({ subjects: ['auction:2'] }, late);
    FakeEventSource.last.accept('7-1');
    expect(late.told).toEqual([]);
    await pass(450);
    (await connected()).update('7-2.0', { subject: 'auction:2' });
    expect(late.told).toEqual(['opened', '7-2.0']);
  });

  it('does not connect at every change, if there are many', async () => {
    for (let n = 0; n < 100; n += 1) {
      live.subscribe({ subjects: [`auction:${n}`] }, {});
      await pass(20);
      FakeEventSource.last.accept('7-1');
    }
    expect(FakeEventSource.all.length).toBeLessThanOrEqual(5);
    await pass(500);
    expect(FakeEventSource.last.query.split(',')).toHaveLength(100);
  });

  it('is not put off by changes that do not end', async () => {
    for (let n = 0; n < 200; n += 1) {
      live.subscribe({ subjects: [`auction:${n}`] }, {});
      await pass(10);
      FakeEventSource.last?.accept('7-1');
    }
    expect(FakeEventSource.last.query.split(',').length).toBeGreaterThan(100);
  });

  it('is let open, however slowly, before changes begin another', async () => {
    const lasting = listener();
    live.subscribe({ subjects: ['auction:0'] }, lasting);
    await pass(0);
    for (let n = 1; n <= 10; n += 1) {
      live.subscribe({ subjects: [`auction:${n}`] }, {});
      await pass(300);
    }
    expect(FakeEventSource.all).toHaveLength(1);
    FakeEventSource.last.accept('7-1').update('7-2.0', { subject: 'auction:0' });
    expect(lasting.told).toEqual(['opened', '7-2.0']);
    await pass(600);
    expect(FakeEventSource.last.query.split(',').length).toBe(11);
  });

  it('is not awaited for ever', async () => {
    live.subscribe({ subjects: ['auction:0'] }, {});
    await pass(0);
    live.subscribe({ subjects: ['auction:1'] }, {});
    await pass(11_000);
    expect(FakeEventSource.all).toHaveLength(2);
  });

  it('shrinks at leisure', async () => {
    live.subscribe({ subjects: ['auction:1'] }, {});
    const stop = live.subscribe({}, {});
    await connected('7-1');
    stop();
    await pass(5_000);
    expect(FakeEventSource.all).toHaveLength(1);
    await pass(6_000);
    expect(FakeEventSource.last.query).toBe('subject=auction:1&last_event_id=7-1');
  });

  it('begins anew after a pause in which nobody listened', async () => {
    const stop = live.subscribe({}, {});
    await connected('7-1');
    stop();
    await pass(1_000);
    live.subscribe({}, {});
    await connected('7-9');
    expect(FakeEventSource.last.query).toBe('');
  });

  it('asks for alerts by a second one, only if they are wanted', async () => {
    const [all, alerts] = [listener(), listener()];
    live.subscribe({}, all);
    live.subscribe({ types: ['alert'] }, alerts);
    await pass(0);
    const [updates, second] = FakeEventSource.all;
    expect([updates.query, second.query]).toEqual(['', 'type=alert']);
    updates.accept('7-1');
    expect(live.connection.state).toBe('connecting');
    second.accept('7-1');
    expect(live.connection.state).toBe('live');
    second.update('7-2.0', { type: 'alert', subject: 'alerts:big' });
    updates.resync('7-3');
    second.resync('7-3');
    expect(all.told).toEqual(['opened', 'resync: records were missed']);
    expect(alerts.told).toEqual(['opened', '7-2.0', 'resync: records were missed']);
    const both = listener();
    live.subscribe({ types: ['alert', 'sale'] }, both);
    updates.resync('7-4');
    second.resync('7-4');
    expect(both.told).toEqual(['resync: records were missed']);
  });

  it('is not made for a list that is empty', async () => {
    live.subscribe({ subjects: [] }, {});
    await pass(1_000);
    expect(FakeEventSource.all).toHaveLength(0);
  });
});

describe('listeners', () => {
  it('do not break others', async () => {
    const report = vi.fn();
    vi.stubGlobal('reportError', report);
    const all = listener();
    live.onConnection(() => {
      throw new Error('mine');
    });
    live.subscribe({}, { update: () => { throw new Error('mine'); } });
    live.subscribe({}, all);
    (await connected('7-1')).update('7-2.0');
    expect(all.told).toContain('7-2.0');
    expect(report.mock.calls.map(([error]) => error.message)).toEqual(['mine', 'mine', 'mine']);
  });

  it('that leave while others are told are told no more', async () => {
    const told = [];
    let stop;
    live.subscribe({}, { update: () => stop() });
    stop = live.subscribe({}, { update: () => told.push('told') });
    (await connected('7-1')).update('7-2.0');
    live.subscribe({}, { resync: () => live.close() });
    live.subscribe({}, { resync: () => told.push('told') });
    FakeEventSource.last.resync('7-3');
    expect(told).toEqual([]);
  });

  it('that leave when others hear that it is open are not told that', async () => {
    const told = [];
    let stop;
    live.subscribe({}, { opened: () => stop() });
    stop = live.subscribe({}, { opened: () => told.push('told') });
    await connected('7-1');
    expect(told).toEqual([]);
  });

  it('get the connection once for each change', async () => {
    const states = [];
    const off = live.onConnection((connection) => {
      expect(live.connection).toBe(connection);
      expect(Object.isFrozen(connection)).toBe(true);
      states.push(connection.state);
    });
    live.subscribe({}, {});
    const source = await connected('7-1');
    const before = live.connection;
    source.update('7-2.0');
    expect(live.connection).toBe(before);
    off();
    source.break();
    expect(states).toEqual(['connecting', 'live']);
  });
});

it('leaves nothing behind after a thousand that came and went', async () => {
  const targets = [window, document];
  const counts = new Map();
  for (const target of targets) {
    for (const [name, step] of [['addEventListener', 1], ['removeEventListener', -1]]) {
      const real = target[name].bind(target);
      vi.spyOn(target, name).mockImplementation((...args) => {
        counts.set(args[0], (counts.get(args[0]) ?? 0) + step);
        return real(...args);
      });
    }
  }
  for (let n = 0; n < 1_000; n += 1) {
    const stop = live.subscribe({ subjects: [`auction:${n}`] }, {});
    if (n % 10 === 0) await pass(30);
    stop();
  }
  expect(counts.get('online')).toBe(1);
  await pass(600);
  expect(live.connection.state).toBe('idle');
  expect(vi.getTimerCount()).toBe(0);
  expect(FakeEventSource.open).toEqual([]);
  expect([...counts.values()]).toEqual(counts.size ? Array(counts.size).fill(0) : []);
});
