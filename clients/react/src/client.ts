import { ActivityFeed, LiveClient, ResourceStore } from './web.js';
import type { ActivityOptions, LiveOptions } from './web.js';

export interface TagcacheOptions {
  /** Stands before all paths: `https://api.example`, or `/api`. Default: nothing, which is where the page is from. */
  baseUrl?: string | undefined;
  /** Where live updates are. Default: `/events`. */
  eventsPath?: string | undefined;
  /** Where the activity feed is. Default: `/activity`. */
  activityPath?: string | undefined;
  /** Returns a ticket. Called for the first connection, and when one has expired or was refused. */
  ticket?: LiveOptions['ticket'];
  transport?: LiveOptions['transport'];
  fetch?: typeof globalThis.fetch | undefined;
}

export type FeedFilter = Pick<ActivityOptions, 'auction' | 'types' | 'limit'>;

/** What all components of a page share: one connection, and what was fetched. Does nothing until a component asks. */
export class TagcacheClient {
  readonly live: LiveClient;
  readonly resources: ResourceStore;
  readonly #activity: Pick<ActivityOptions, 'live' | 'url' | 'fetch'>;

  constructor(options: TagcacheOptions = {}) {
    const { baseUrl = '', eventsPath = '/events', activityPath = '/activity', ticket, transport, fetch } = options;
    const base = baseUrl.replace(/\/$/, '');
    this.live = new LiveClient({ url: base + eventsPath, ticket, transport, fetch });
    this.resources = new ResourceStore({ live: this.live, base, fetch });
    this.#activity = { live: this.live, url: base + activityPath, fetch };
  }

  /** A feed of its own for each who asks. */
  activity(filter: FeedFilter = {}): ActivityFeed {
    return new ActivityFeed({ ...this.#activity, ...filter });
  }

  close(): void {
    this.resources.close();
    this.live.close();
  }
}
