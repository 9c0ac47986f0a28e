// The types are written by hand. Here the compiler holds them against what is there.
import * as made from '../src/live-client.js';
import * as stores from '../src/resource-store.js';
import * as feeds from '../src/activity-feed.js';
import * as written from '../src/index.js';

export const LiveClient: typeof written.LiveClient = made.LiveClient;
export const ResourceStore: typeof written.ResourceStore = stores.ResourceStore;
export const ActivityFeed: typeof written.ActivityFeed = feeds.ActivityFeed;

// And the other way round: nothing public is left out of what is written.
type Public<T> = { [K in keyof T]: T[K] };
export const live: Public<made.LiveClient> = new written.LiveClient();
export const store: Public<stores.ResourceStore> = new written.ResourceStore({ live });
export const feed: Public<feeds.ActivityFeed> = new written.ActivityFeed({ live });
