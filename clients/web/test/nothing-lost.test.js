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

describe('nothing comes twice, and nothing is lost', () => {
  it('drops what is not after the last id, whatever that was', async () => {
    const all = listener();
    live.subscribe({}, all);
    const source = await connected('7-5');
    for (const id of ['7-5.0', '7-6.0', '7-6.0', '7-6.1', '7-5.3']) source.update(id);
    source.position('7-8');
    source.position('7-4');
    for (const id of ['7-8.4', '7-9.0']) source.update(id);
    expect(all.told.slice(1)).toEqual(['7-6.0', '7-6.1', '7-9.0']);
    source.break();
    await pass(1_000);
    expect(FakeEventSource.last.query).toBe('last_event_id=7-9.0');
  });

  it('tells of a resync in its order, to whom it is news', async () => {
    const [first, added] = [listener(), listener()];
    live.subscribe({ subjects: ['auction:1'] }, first);
    const source = await connected('7-1');
    live.subscribe({}, added);
    source.update('7-3.0');
    source.resync('7-4', 'reorg');
    await pass(500);
    expect(FakeEventSource.last.query).toBe('last_event_id=7-1');
    FakeEventSource.last.accept();
    FakeEventSource.last.update('7-2.0', { subject: 'auction:2' });
    FakeEventSource.last.update('7-3.0');
    FakeEventSource.last.resync('7-4', 'reorg');
    FakeEventSource.last.update('7-5.0');
    expect(first.told).toEqual(['opened', '7-3.0', 'resync: reorg', '7-5.0']);
    expect(added.told).toEqual(['7-2.0', '7-3.0', 'resync: reorg', '7-5.0']);
  });

  it('tells all of one that is out of order, also who is not served yet', async () => {
    live.subscribe({ subjects: ['auction:1'] }, {});
    const source = await connected('7-50');
    for (const id of ['7-40', '9-2', null]) {
      const added = listener();
      live.subscribe({}, added);
      source.resync(id, 'trouble');
      expect(added.told).toEqual(['resync: trouble']);
    }
    await pass(500);
    expect(FakeEventSource.last.query).toBe('last_event_id=9-2');
  });

  it('goes on in another epoch', async () => {
    const all = listener();
    live.subscribe({}, all);
    const source = await connected('7-5');
    source.resync('9-2', 'the log began anew');
    source.update('9-1.0');
    source.update('9-3.0');
    expect(all.told.slice(1)).toEqual(['resync: the log began anew', '9-3.0']);
  });

  it('takes the place of a resync, also one before', async () => {
    const all = listener();
    live.subscribe({}, all);
    const source = await connected('7-50');
    source.resync('7-40', 'this server has not read as far as that id');
    source.update('7-41.0');
    expect(all.told.slice(1)).toEqual(['resync: this server has not read as far as that id', '7-41.0']);
  });

  it('tells of a gap if it does not know where it was', async () => {
    const all = listener();
    live.subscribe({}, all);
    (await connected()).break();
    await pass(1_000);
    FakeEventSource.last.accept();
    expect(FakeEventSource.last.query).toBe('');
    expect(all.told).toEqual(['opened', 'resync: what happened between two connections is not known']);
  });

  it('takes what cannot be read for something unknown that changed', async () => {
    const report = vi.fn();
    vi.stubGlobal('reportError', report);
    const all = listener();
    live.subscribe({}, all);
    const source = await connected('7-1');
    for (const text of ['{', 'null', '{"id":"7-2.0"}']) source.say('auction_update', text);
    expect(all.told.slice(1)).toEqual(Array(3).fill('resync: an update could not be read'));
    expect(report).toHaveBeenCalledTimes(3);
  });

  it('hands on what was sent, frozen, the same to all', async () => {
    const got = [];
    live.subscribe({}, { update: (update) => got.push(update) });
    live.subscribe({}, { update: (update) => got.push(update) });
    const data = { amount: '115792089237316195423570985008687907853269984665640564039457584007913129639935' };
    (await connected('7-1')).update('7-2.0', { data, identity: '1/0x1/2' });
    expect(got[0]).toEqual({ id: '7-2.0', type: 'sale', subject: 'auction:1', time: 1, data, identity: '1/0x1/2' });
    expect(got[1]).toBe(got[0]);
    expect(Object.isFrozen(got[0]) && Object.isFrozen(got[0].data)).toBe(true);
  });
});
