import { render } from '@testing-library/react';
import { StrictMode, createElement as h } from 'react';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TagcacheClient, TagcacheProvider, useActivityFeed, useLiveUpdates, useResource } from '../../src/index.js';
import { FakeEventSource } from '../../../web/test/support/fake-connections.js';
import { NOTHING_LEFT, begin, end, frame, pass, probe, show } from '../support/stage.js';

let stage;
beforeEach(() => {
  stage = begin();
});
afterEach(async () => {
  expect(await end(stage)).toEqual(NOTHING_LEFT);
});

describe('useResource', () => {
  const use = ({ path = '/auctions/1', subjects = ['a:1'] }) => useResource(path, { subjects });

  it('is loading, then ready, and fetched again when an update says so', async () => {
    let price = 5;
    stage.serve = () => ({ price });
    const probed = await show(stage, use, {});
    expect(probed.renders[0]).toMatchObject({ state: 'loading', data: undefined, error: null });
    expect(probed.last).toMatchObject({ state: 'ready', data: { price: 5 }, response: { status: 200 }, refreshing: false });
    price = 6;
    FakeEventSource.last.update('7-2.0', { subject: 'a:2' });
    await frame();
    expect(probed.last.data).toEqual({ price: 5 });
    FakeEventSource.last.update('7-3.0', { subject: 'a:1' });
    await pass(100);
    expect(probed.last).toMatchObject({ data: { price: 6 }, cause: { kind: 'update', update: { id: '7-3.0' } } });
    price = 7;
    probed.last.refresh();
    await frame();
    expect(probed.last).toMatchObject({ data: { price: 7 }, cause: { kind: 'manual' } });
  });

  it('goes to another path, and to none', async () => {
    stage.serve = (url) => url;
    const probed = await show(stage, use, {});
    probed.rerender({ path: '/auctions/2' });
    expect(probed.last).toMatchObject({ state: 'loading', data: undefined });
    await frame();
    expect(probed.last).toMatchObject({ state: 'ready', data: '/auctions/2' });
    const { refresh } = probed.last;
    probed.rerender({ path: null });
    expect(probed.last).toMatchObject({ state: 'idle', data: undefined });
    expect(probed.last.refresh).not.toBe(refresh);
  });

  it('is shared by all who show it', async () => {
    const one = probe(() => useResource('/auctions/1', { subjects: ['a:1'] }));
    const two = probe(() => useResource('/auctions/1', { subjects: ['a:1'] }));
    render(h(TagcacheProvider, { client: stage.client }, h(one.Probe), h(two.Probe)));
    await frame();
    expect(stage.asked).toEqual(['/auctions/1']);
    expect(one.last.data).toBe(two.last.data);
  });
});

describe('useActivityFeed', () => {
  it('lists what happened, and loads more', async () => {
    stage.serve = (url) =>
      url.includes('cursor=9') ? { entries: [{ id: '8' }], next: null } : { entries: [{ id: '9' }], next: '9' };
    const probed = await show(stage, () => useActivityFeed({ auction: '0x1', types: ['sale'], limit: 1 }), {});
    expect(stage.asked[0]).toBe('/activity?limit=1&auction=0x1&type=sale');
    expect(probed.last).toMatchObject({ state: 'ready', entries: [{ id: '9' }], more: true, error: null });
    await probed.last.loadMore();
    await frame();
    expect(probed.last).toMatchObject({ entries: [{ id: '9' }, { id: '8' }], more: false });
  });

  it('is one feed, whatever object it is asked for with, also in StrictMode', async () => {
    stage.serve = () => ({ entries: [], next: null });
    const probed = probe(() => useActivityFeed({ types: ['sale'] }));
    const element = (n) => h(StrictMode, null, h(TagcacheProvider, { client: stage.client }, h(probed.Probe, { n })));
    const { rerender } = render(element(0));
    for (let n = 1; n < 20; n += 1) rerender(element(n));
    await frame();
    expect(stage.asked).toEqual(['/activity?limit=20&type=sale']);
    expect(stage.subscriptions).toBe(1);
  });
});

describe('the provider', () => {
  const around = (props, ...children) => h(TagcacheProvider, props, ...children);
  const { Probe } = probe(() => {
    useLiveUpdates({});
    useResource('/auctions/1', {});
    useActivityFeed();
  });

  it('says where everything is', async () => {
    stage.serve = () => ({ entries: [], next: null });
    render(around({ baseUrl: 'https://api.example/', eventsPath: '/live', activityPath: '/feed' }, h(Probe)));
    await pass(20);
    expect(FakeEventSource.last.url).toBe('https://api.example/live');
    expect(stage.asked.sort()).toEqual(['https://api.example/auctions/1', 'https://api.example/feed?limit=20']);
  });

  it('stays connected when its functions are written in place, and calls the latest', async () => {
    const live = probe(() => useLiveUpdates({}));
    const tree = (n) => around({ ticket: async () => `t${n}`, fetch: (...args) => globalThis.fetch(...args) }, h(live.Probe));
    const { rerender } = render(tree(1));
    await pass(20);
    expect(FakeEventSource.last.query).toBe('ticket=t1');
    FakeEventSource.last.accept('7-1');
    for (let n = 2; n < 9; n += 1) rerender(tree(n));
    await pass(2_000);
    expect(FakeEventSource.all).toHaveLength(1);
    FakeEventSource.last.end('the ticket has expired');
    await pass(300);
    expect(FakeEventSource.last.query).toBe('last_event_id=7-1&ticket=t8');
  });

  it('makes another client for another server', async () => {
    const live = probe(() => useLiveUpdates({}));
    const { rerender } = render(around({ baseUrl: 'https://one.example' }, h(live.Probe)));
    await pass(20);
    rerender(around({ baseUrl: 'https://two.example' }, h(live.Probe)));
    await pass(1_000);
    expect(FakeEventSource.open.map((one) => one.url)).toEqual(['https://two.example/events']);
  });

  it('may be left out: then all share one client of the page', async () => {
    const live = probe(() => useLiveUpdates({}));
    render(h('div', null, h(live.Probe), h(live.Probe)));
    render(h(live.Probe));
    await pass(20);
    expect(FakeEventSource.all.map((one) => one.url)).toEqual(['http://localhost:3000/events']);
  });

  it('may be passed by for a client of its own', async () => {
    const other = new TagcacheClient({ baseUrl: 'https://other.example' });
    await show(stage, () => useLiveUpdates({}, { client: other }), {});
    expect(FakeEventSource.all.map((one) => one.url)).toEqual(['https://other.example/events']);
  });
});
