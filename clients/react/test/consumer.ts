// What a project that uses the package writes, held against the types that are packed.
import { createElement } from 'react';
import {
  TagcacheClient,
  TagcacheProvider,
  useActivityFeed,
  useConnection,
  useLiveUpdates,
  useRealtimeAuction,
  useResource,
} from 'tagcache-react';
import type { Connection, Update } from 'tagcache-react';

interface Auction {
  price: string;
}

export function Page({ address }: { address?: string }) {
  const { updates, connection, resyncs } = useRealtimeAuction(address, { limit: 5, onUpdate: (update) => update.data });
  const type: 'sale' | 'kick' | 'price_update' | (string & {}) | undefined = updates[0]?.type;
  const amount: string | undefined = updates[0]?.data['amount'];
  const all: readonly Update[] = useLiveUpdates({ types: ['alert'] as const }).updates;
  const same: Connection = useConnection() ?? connection;
  const { data, refresh } = useResource<Auction>(`/auctions/${address}`, { subjects: [`auction:${address}`] });
  const price: string | undefined = data?.price;
  // @ts-expect-error there is no such field
  void data?.cost;
  const { entries, loadMore } = useActivityFeed({ limit: 5 });
  const more: Promise<void> = loadMore();
  refresh();
  return createElement('p', null, type, amount, all.length, same.state, price, entries[0]?.amount, String(more), resyncs);
}

const client = new TagcacheClient({ baseUrl: '/api', ticket: async () => 't', transport: 'sse' });
export const trees = [
  createElement(TagcacheProvider, { client }, createElement(Page)),
  createElement(TagcacheProvider, { baseUrl: '/api', ticket: () => 't' }),
  // @ts-expect-error there is no such transport
  createElement(TagcacheProvider, { transport: 'pigeon' }),
];
