import { render } from '@testing-library/react';
import { StrictMode, act, createElement as h, version } from 'react';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { useConnection, useLiveUpdates, useRealtimeAuction, useResource } from '../../src/index.js';
import { FakeEventSource } from '../../../web/test/support/fake-connections.js';
import { UpdateLog } from '../../src/update-log.js';
import { NOTHING_LEFT, begin, end, frame, pass, probe, show, within } from '../support/stage.js';

const ONE = '0xa16e02e87b7454126e5e10d957a927a7f5b5d2be';
const OTHER = '0xb7a5bd0345ef1cc5e66bf61bdec17d2461fbd968';

let stage;
beforeEach(() => {
  stage = begin();
});
afterEach(async () => {
  expect(await end(stage)).toEqual(NOTHING_LEFT);
});

const tell = (id, fields) => FakeEventSource.last.update(id, { subject: `auction:${ONE}`, ...fields });
const ids = (probed) => probed.last.updates.map((update) => update.id);

it('runs with the React it says', () => {
  expect(version.split('.')[0]).toBe(process.env.REACT);
});

describe('useRealtimeAuction', () => {
  const use = ({ address = ONE, ...options }) => useRealtimeAuction(address, options);

  it('lists what an auction is told of, newest first, with type and data', async () => {
    const probed = await show(stage, use, {});
    expect(FakeEventSource.last.query).toBe(`subject=auction:${ONE}`);
    expect(probed.last).toMatchObject({ updates: [], resyncs: 0, connection: { state: 'live' } });
    tell('7-2.0', { type: 'kick', data: { round: '2' } });
    tell('7-3.0', { data: { amount: '5' } });
    await frame();
    expect(probed.last.updates).toMatchObject([
      { id: '7-3.0', type: 'sale', data: { amount: '5' }, subject: `auction:${ONE}`, time: 1 },
      { id: '7-2.0', type: 'kick', data: { round: '2' } },
    ]);
  });

  it('keeps the last fifty, or as many as are wanted', async () => {
    const fifty = await show(stage, use, {});
    const three = await show(stage, use, { limit: 3 });
    for (let n = 0; n < 200; n += 1) {
      tell(`7-${n + 2}.0`);
      if (n % 7 === 0) await frame();
    }
    await frame();
    expect(ids(fifty)).toEqual(Array.from({ length: 50 }, (_, n) => `7-${201 - n}.0`));
    expect(ids(three)).toEqual(['7-201.0', '7-200.0', '7-199.0']);
  });

  it('calls onUpdate for each, as it comes', async () => {
    const first = vi.fn();
    const second = vi.fn();
    const probed = await show(stage, use, { onUpdate: first });
    tell('7-2.0');
    probed.rerender({ onUpdate: second });
    tell('7-3.0');
    expect(first.mock.calls.map(([update]) => update.id)).toEqual(['7-2.0']);
    expect(second.mock.calls.map(([update]) => update.id)).toEqual(['7-3.0']);
    expect(ids(probed)).toEqual([]);
    await frame();
    expect(ids(probed)).toEqual(['7-3.0', '7-2.0']);
  });

  it('clears the list when updates were missed, and says so', async () => {
    const onResync = vi.fn();
    const probed = await show(stage, use, { onResync });
    tell('7-2.0');
    await frame();
    tell('7-3.0');
    FakeEventSource.last.resync('7-4', 'records were missed');
    tell('7-5.0');
    await frame();
    expect(ids(probed)).toEqual(['7-5.0']);
    expect(probed.last.resyncs).toBe(1);
    expect(onResync.mock.calls).toEqual([['records were missed']]);
  });

  it('begins an empty list for another address', async () => {
    const probed = await show(stage, use, {});
    tell('7-2.0');
    await frame();
    probed.rerender({ address: OTHER });
    expect(ids(probed)).toEqual([]);
    tell('7-3.0');
    await pass(500);
    FakeEventSource.last.accept();
    expect(FakeEventSource.last.query).toBe(`subject=auction:${OTHER}&last_event_id=7-2.0`);
    tell('7-4.0', { subject: `auction:${OTHER}` });
    await frame();
    expect(ids(probed)).toEqual(['7-4.0']);
  });

  it('takes one address for one auction, however it is written', async () => {
    const probed = await show(stage, use, {});
    tell('7-2.0');
    await frame();
    probed.rerender({ address: ONE.toUpperCase().replace('0X', '0x') });
    expect(ids(probed)).toEqual(['7-2.0']);
    expect(stage.subscribed).toHaveBeenCalledTimes(1);
  });

  it.each([null, undefined, ''])('subscribes to nothing for the address %s', async (address) => {
    await show(stage, () => useRealtimeAuction(address), {});
    expect(stage.subscribed).not.toHaveBeenCalled();
    expect(FakeEventSource.all).toEqual([]);
  });

  it('asks for some types only', async () => {
    const probed = await show(stage, use, { types: ['kick'] });
    expect(FakeEventSource.last.query).toBe(`subject=auction:${ONE}&type=kick`);
    tell('7-2.0');
    tell('7-3.0', { type: 'kick' });
    await frame();
    expect(ids(probed)).toEqual(['7-3.0']);
  });
});

describe('useLiveUpdates', () => {
  it('does not subscribe again for objects that say the same', async () => {
    const use = ({ n }) => {
      const filter = n % 2 ? { subjects: ['a:2', 'a:1'], types: ['x'] } : { types: ['x'], subjects: ['a:1', 'a:2', 'a:1'] };
      return useLiveUpdates(filter, { limit: 10, onUpdate: () => n, onResync: () => n });
    };
    const probed = await show(stage, use, { n: 0 });
    tell('7-2.0', { type: 'x', subject: 'a:1' });
    for (let n = 1; n < 100; n += 1) {
      probed.rerender({ n });
      await frame();
    }
    expect(stage.subscribed).toHaveBeenCalledTimes(1);
    expect(FakeEventSource.all).toHaveLength(1);
    expect(ids(probed)).toEqual(['7-2.0']);
  });

  it('subscribes to nothing for no filter', async () => {
    await show(stage, () => useLiveUpdates(null), {});
    expect(FakeEventSource.all).toEqual([]);
  });

  it('renders once in a frame, however much comes, and all components together', async () => {
    const [one, two] = [probe(() => useLiveUpdates({})), probe(() => useLiveUpdates({ subjects: [`auction:${ONE}`] }))];
    let commits = 0;
    const Both = () => {
      useLiveUpdates({ types: ['sale'] });
      commits += 1;
      return [h(one.Probe, { key: 1 }), h(two.Probe, { key: 2 })];
    };
    render(within(stage.client, h(Both)));
    await pass(20);
    FakeEventSource.last.accept('7-1');
    await frame();
    const before = [one.renders.length, two.renders.length, commits];
    for (let n = 0; n < 1_000; n += 1) tell(`7-${n + 2}.0`);
    expect([one.renders.length, two.renders.length, commits]).toEqual(before);
    await frame();
    // Those inside are rendered as part of what is around them.
    expect([one.renders.length, two.renders.length, commits]).toEqual(before.map((count) => count + 1));
    expect(ids(one)).toEqual(Array.from({ length: 50 }, (_, n) => `7-${1001 - n}.0`));
    await pass(1_000);
    expect(commits).toBe(before[2] + 1);
  });

  it('renders by a timer on a page that nobody sees', async () => {
    const probed = await show(stage, () => useLiveUpdates({}), {});
    vi.spyOn(document, 'visibilityState', 'get').mockReturnValue('hidden');
    const frames = vi.spyOn(globalThis, 'requestAnimationFrame');
    tell('7-2.0');
    await pass(300);
    expect(frames).not.toHaveBeenCalled();
    expect(ids(probed)).toEqual(['7-2.0']);
  });

  it('renders on a page that was put out of sight before its frame came', async () => {
    const probed = await show(stage, () => useLiveUpdates({}), {});
    vi.spyOn(globalThis, 'requestAnimationFrame').mockReturnValue(1);
    tell('7-2.0');
    await pass(300);
    expect(ids(probed)).toEqual(['7-2.0']);
  });
});

describe('in StrictMode', () => {
  it('makes one connection, fetches once, and loses nothing', async () => {
    stage.serve = () => ({ price: '5' });
    const probed = probe(() => {
      const { updates } = useRealtimeAuction(ONE);
      const { data } = useResource('/auctions/1', { subjects: [`auction:${ONE}`] });
      return { updates, data };
    });
    render(h(StrictMode, null, within(stage.client, h(probed.Probe))));
    // Mounted, taken off and mounted again by now.
    expect(stage.subscribed.mock.calls.length).toBe(4);
    expect(stage.subscriptions).toBe(2);
    await pass(20);
    FakeEventSource.last.accept('7-1');
    for (let n = 2; n < 12; n += 1) {
      tell(`7-${n}.0`);
      await frame();
    }
    await pass(2_000);
    expect(FakeEventSource.all).toHaveLength(1);
    expect(ids(probed)).toEqual(Array.from({ length: 10 }, (_, n) => `7-${11 - n}.0`));
    expect(probed.last.data).toEqual({ price: '5' });
    expect(stage.asked[0]).toBe('/auctions/1');
  });
});

describe('a log that is hidden and shown again', () => {
  it('begins anew and says so, as it was not told meanwhile', async () => {
    const told = [];
    const log = new UpdateLog(stage.client.live, {}, 50, { current: { onResync: (reason) => told.push(reason) } });
    const hide = log.subscribe(() => {});
    await frame();
    FakeEventSource.last.accept('7-1');
    tell('7-2.0');
    await frame();
    expect(log.snapshot().updates).toHaveLength(1);
    hide();
    const leave = log.subscribe(() => {});
    expect(log.snapshot()).toEqual({ updates: [], resyncs: 1 });
    expect(told).toEqual(['nobody looked for a while']);
    leave();
  });
});

describe('useConnection', () => {
  it('says how it is, and is not rendered for what does not change that', async () => {
    const probed = await show(stage, () => [useConnection(), useLiveUpdates({}).resyncs], {});
    const connection = probed.last[0];
    expect(connection.state).toBe('live');
    tell('7-2.0');
    await frame();
    expect(probed.last[0]).toBe(connection);
    // Else it may come back before it is drawn.
    const random = vi.spyOn(Math, 'random').mockReturnValue(1);
    act(() => FakeEventSource.last.break());
    await frame();
    expect(probed.renders.some(([{ state }]) => state === 'waiting')).toBe(true);
    random.mockRestore();
  });

  it('connects nobody', async () => {
    const probed = await show(stage, () => useConnection(), {});
    await pass(1_000);
    expect(FakeEventSource.all).toEqual([]);
    expect(probed.last).toMatchObject({ state: 'idle' });
  });
});

it('leaves nothing after a thousand that were mounted and taken off', async () => {
  stage.serve = (url) => (url.includes('activity') ? { entries: [], next: null } : {});
  const { Probe } = probe(({ n }) => {
    useRealtimeAuction(n % 3 ? ONE : OTHER, { types: n % 2 ? ['sale'] : undefined });
    useResource(`/auctions/${n % 7}`, { subjects: ['a:1'] });
    useConnection();
  });
  for (let n = 0; n < 1_000; n += 1) {
    const { unmount } = render(within(stage.client, h(Probe, { n })));
    if (n % 50 === 0) {
      await pass(25);
      FakeEventSource.last.accept('7-1');
      tell(`7-${n + 2}.0`);
    }
    unmount();
  }
  expect(stage.subscribed).toHaveBeenCalledTimes(2_000);
  expect(FakeEventSource.open.length).toBeLessThanOrEqual(1);
  await pass(1_000);
  expect(vi.getTimerCount()).toBe(0);
  expect(stage.subscriptions).toBe(0);
});
