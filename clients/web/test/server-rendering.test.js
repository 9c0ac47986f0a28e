// In plain Node, as on a server that renders pages.
import { expect, it, vi } from 'vitest';

it('is imported, constructed and used without a page, a network or a timer', async () => {
  const touched = [];
  for (const name of ['window', 'document', 'EventSource', 'WebSocket', 'location']) {
    expect(name in globalThis && name !== 'WebSocket', `this is no page: ${name}`).toBe(false);
    Object.defineProperty(globalThis, name, {
      configurable: true,
      get: () => void touched.push(name),
    });
  }
  const timer = vi.spyOn(globalThis, 'setTimeout');
  const { ActivityFeed, LiveClient, ResourceStore } = await import('../src/index.js');
  const live = new LiveClient({ url: '/events', ticket: async () => 't' });
  const store = new ResourceStore({ live });
  const feed = new ActivityFeed({ live });
  expect(touched).toEqual([]);
  expect(timer).not.toHaveBeenCalled();
  expect([live.connection.state, store.get('/x'), feed.snapshot.state]).toEqual(['idle', undefined, 'loading']);

  const stop = live.subscribe({}, {});
  expect(live.connection.state).toBe('unsupported');
  stop();
  Object.defineProperty(globalThis, 'EventSource', { configurable: true, value: class {} });
  live.subscribe({}, {});
  expect(live.connection.reason).toContain('/events');
  live.close();
  expect(timer).not.toHaveBeenCalled();
});
