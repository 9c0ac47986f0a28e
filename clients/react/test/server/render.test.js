// In plain Node, as on a server that renders pages.
import { createElement as h, version } from 'react';
import { renderToString } from 'react-dom/server';
import { expect, it, vi } from 'vitest';
import { TagcacheClient, TagcacheProvider, useActivityFeed, useConnection, useLiveUpdates, useRealtimeAuction, useResource, useTagcache } from '../../src/index.js';

const Page = () => {
  const auction = useRealtimeAuction('0xa16e02e87b7454126e5e10d957a927a7f5b5d2be', { onUpdate() {} });
  const all = useLiveUpdates({});
  const connection = useConnection();
  const resource = useResource('/auctions/1', { subjects: ['a:1'] });
  const activity = useActivityFeed({ limit: 5 });
  return h('p', null, JSON.stringify({ auction, all, connection, resource, activity, client: useTagcache() }));
};

it.each([
  ['with a provider', (page) => h(TagcacheProvider, { baseUrl: 'https://api.example', ticket: async () => 't' }, page)],
  ['with a client', (page) => h(TagcacheProvider, { client: new TagcacheClient() }, page)],
  ['without', (page) => page],
])('shows what is known before anything is asked, %s', (_, around) => {
  expect(version.split('.')[0]).toBe(process.env.REACT);
  expect(typeof window).toBe('undefined');
  const complaints = vi.spyOn(console, 'error');
  const asked = vi.spyOn(globalThis, 'fetch');
  const timers = vi.spyOn(globalThis, 'setTimeout');
  const html = renderToString(around(h(Page)));
  const shown = JSON.parse(html.replace(/<\/?p>/g, '').replaceAll('&quot;', '"'));
  const connection = { state: 'idle', transport: null, attempt: 0, retryAt: null, reason: null };
  expect(shown).toEqual({
    auction: { updates: [], resyncs: 0, connection },
    all: { updates: [], resyncs: 0, connection },
    connection,
    resource: { error: null, state: 'loading', response: null, cause: null, refreshing: false },
    activity: { state: 'loading', entries: [], error: null, more: false },
    client: null,
  });
  expect(complaints).not.toHaveBeenCalled();
  expect(asked).not.toHaveBeenCalled();
  expect(timers).not.toHaveBeenCalled();
  vi.restoreAllMocks();
});
