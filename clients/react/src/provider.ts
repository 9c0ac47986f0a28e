import { createContext, createElement, useContext, useEffect, useMemo, useRef } from 'react';
import type { ReactNode } from 'react';
import { TagcacheClient } from './client.js';
import type { TagcacheOptions } from './client.js';

const Context = createContext<TagcacheClient | null>(null);

export interface TagcacheProviderProps extends TagcacheOptions {
  /** A client that is there already; the other settings are not looked at then. */
  client?: TagcacheClient | undefined;
  children?: ReactNode;
}

/** Says where the server is. Without one it is where the page is from. */
export function TagcacheProvider({ client, children, ...options }: TagcacheProviderProps): ReactNode {
  const { baseUrl, eventsPath, activityPath, transport } = options;
  // Functions are mostly written in place, and new each time: the latest is called.
  const latest = useLatest(options);
  const hasTicket = options.ticket !== undefined;
  const hasFetch = options.fetch !== undefined;
  const own = useMemo(() => {
    const ticket = hasTicket ? () => latest.current.ticket?.() ?? '' : undefined;
    const fetch: typeof globalThis.fetch | undefined = hasFetch
      ? (...args) => (latest.current.fetch ?? globalThis.fetch)(...args)
      : undefined;
    return new TagcacheClient({ baseUrl, eventsPath, activityPath, transport, ticket, fetch });
  }, [baseUrl, eventsPath, activityPath, transport, hasTicket, hasFetch, latest]);
  // It is not closed when this is unmounted: without subscriptions it holds nothing.
  return createElement(Context.Provider, { value: client ?? own }, children);
}

let shared: TagcacheClient | undefined;

/** The client of the nearest provider, or one for the whole page; none on a server, where nothing is live. */
export function useTagcache(given?: TagcacheClient): TagcacheClient | null {
  const provided = useContext(Context);
  if (typeof window === 'undefined') return null;
  return given ?? provided ?? (shared ??= new TagcacheClient());
}

export function useLatest<T>(value: T): { readonly current: T } {
  const latest = useRef(value);
  useEffect(() => {
    latest.current = value;
  });
  return latest;
}
