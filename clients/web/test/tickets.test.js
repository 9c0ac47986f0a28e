import { EventSource } from 'eventsource';
import { WebSocket } from 'ws';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { LiveClient } from '../src/index.js';
import { openGuardedServer } from './support/guarded-server.js';
import { until } from './support/until.js';

let server, live, told;

beforeEach(async () => {
  vi.stubGlobal('EventSource', EventSource);
  vi.stubGlobal('WebSocket', WebSocket);
  server = await openGuardedServer();
  told = [];
});
afterEach(async () => {
  live.close();
  await server.close();
  vi.unstubAllGlobals();
});

const begin = (transport, ticket) => {
  live = new LiveClient({ url: server.url, transport, ticket });
  live.subscribe({}, { update: (update) => told.push(update.id), resync: (reason) => told.push(reason) });
};

it.each(['sse', 'websocket'])('ten tickets that expire lose nothing, by %s', async (transport) => {
  begin(transport, async () => server.issue());
  await until(() => live.connection.state === 'live');
  for (let n = 0; n < 10; n += 1) {
    server.say();
    await until(() => told.length === server.log.length);
    server.expire();
    // Nobody is connected who could be told.
    server.say();
    server.say();
    await until(() => told.length === server.log.length);
  }
  expect(told).toEqual(server.log.map((update) => update.id));
  expect(server.issued).toBe(11);
  expect(server.stats.refused).toBe(0);
});

it.each(['sse', 'websocket'])('one that is refused is replaced at once, by %s', async (transport) => {
  const given = ['stale', server.issue()];
  begin(transport, () => given.shift());
  const states = [];
  live.onConnection(({ state }) => states.push(state));
  await until(() => live.connection.state === 'live');
  expect(given).toEqual([]);
  expect(states).not.toContain('waiting');
  server.say();
  await until(() => told.length === 1);
});

it('one that is never good is asked for ever more slowly, and says why', async () => {
  const ticket = vi.fn(async () => 'wrong');
  begin('sse', ticket);
  await until(() => live.connection.state === 'waiting');
  expect(live.connection.reason).toBe('the ticket has expired');
  expect(ticket).toHaveBeenCalledTimes(2);
});
