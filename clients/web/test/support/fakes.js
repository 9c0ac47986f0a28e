import { expect, vi } from 'vitest';
import { FakeEventSource, FakeWebSocket } from './fake-connections.js';

export { FakeEventSource, FakeWebSocket };

/** Time stands still, chance takes the most, and connections are fakes. */
export function beginFake() {
  vi.useFakeTimers();
  vi.spyOn(Math, 'random').mockReturnValue(1);
  FakeEventSource.all = [];
  FakeWebSocket.all = [];
  vi.stubGlobal('EventSource', FakeEventSource);
  vi.stubGlobal('WebSocket', FakeWebSocket);
  vi.stubGlobal('fetch', vi.fn(async () => new Response('', { headers: { 'content-type': 'text/event-stream' } })));
}

export function endFake() {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
  vi.useRealTimers();
}

/** Closes a client, of which nothing may be left. */
export function endClient(live) {
  live.close();
  expect(vi.getTimerCount(), 'timers after close').toBe(0);
  expect(FakeEventSource.open, 'connections after close').toEqual([]);
  endFake();
}

/** The newest connection, accepted. */
export async function connected(position) {
  await pass(50);
  return FakeEventSource.last.accept(position);
}

export const pass = (time) => vi.advanceTimersByTimeAsync(time);

/** What somebody who subscribes was told, in order. */
export function listener() {
  const told = [];
  return {
    told,
    update: (update) => told.push(update.id),
    resync: (reason) => told.push(`resync: ${reason}`),
    opened: () => told.push('opened'),
  };
}
