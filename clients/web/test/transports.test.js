// @vitest-environment jsdom
// @vitest-environment-options { "url": "http://page.example/shop/" }
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { LiveClient } from '../src/index.js';
import { FakeEventSource, FakeWebSocket, beginFake, endClient, listener, pass } from './support/fakes.js';

let live;
beforeEach(() => {
  beginFake();
  live = new LiveClient();
});
afterEach(() => endClient(live));

describe('tickets', () => {
  const unauthorized = () => Response.json({ detail: 'the ticket has expired' }, { status: 401 });
  const withTickets = (ticket) => {
    live = new LiveClient({ ticket });
    live.subscribe({}, {});
  };

  it('are asked for once, and used until one has expired', async () => {
    let number = 0;
    withTickets(async () => `t${(number += 1)}`);
    live.subscribe({ types: ['alert'] }, {});
    await pass(0);
    expect(FakeEventSource.all.map((one) => one.query)).toEqual(['ticket=t1', 'type=alert&ticket=t1']);
    const [updates, alerts] = FakeEventSource.all;
    updates.accept('7-1');
    alerts.accept('7-1');
    updates.break();
    await pass(300);
    expect(FakeEventSource.last.query).toBe('last_event_id=7-1&ticket=t1');
    FakeEventSource.last.accept().end('the ticket has expired');
    alerts.end('the ticket has expired');
    await pass(1_000);
    expect(FakeEventSource.all.slice(-2).map((one) => one.query.split('ticket=')[1])).toEqual(['t2', 't2']);
  });

  it('that are new are kept when another connection ends that had the old one', async () => {
    let number = 0;
    withTickets(async () => `t${(number += 1)}`);
    live.subscribe({ types: ['alert'] }, {});
    await pass(0);
    const [updates, alerts] = FakeEventSource.all;
    updates.accept('7-1').end('the ticket has expired');
    await pass(1_000);
    alerts.accept('7-1').end('the ticket has expired');
    await pass(1_000);
    expect(FakeEventSource.all.map((one) => one.query.split('ticket=')[1])).toEqual(['t1', 't1', 't2', 't2']);
  });

  it('that come too late are not used', async () => {
    let give;
    withTickets(() => new Promise((resolve) => (give = resolve)));
    await pass(0);
    live.close();
    give('t');
    await pass(1_000);
    expect(FakeEventSource.all).toEqual([]);
  });

  it('that are refused are replaced at once, and then more slowly', async () => {
    let number = 0;
    fetch.mockImplementation(async () => unauthorized());
    withTickets(() => `t${(number += 1)}`);
    await pass(0);
    FakeEventSource.last.break();
    await pass(0);
    expect(FakeEventSource.last.query).toBe('ticket=t2');
    FakeEventSource.last.break();
    await pass(0);
    expect(live.connection).toMatchObject({ state: 'waiting', reason: 'the ticket has expired' });
    expect(live.connection.retryAt - Date.now()).toBe(2_000);
    await pass(2_000);
    expect(FakeEventSource.last.query).toBe('ticket=t3');
  });

  it('that cannot be had are waited for', async () => {
    const ticket = vi.fn().mockRejectedValueOnce(new Error('not signed in')).mockResolvedValue('t');
    withTickets(ticket);
    await pass(0);
    expect(live.connection).toMatchObject({ state: 'waiting', reason: 'there is no ticket: not signed in' });
    await pass(250);
    expect(FakeEventSource.last.query).toBe('ticket=t');
  });

  it('are needed, but nobody said how to get one: refused', async () => {
    fetch.mockImplementation(async () => unauthorized());
    live.subscribe({}, {});
    await pass(0);
    FakeEventSource.last.break();
    await pass(0);
    expect(live.connection).toMatchObject({ state: 'refused', reason: 'the ticket has expired' });
  });
});

describe('by WebSocket', () => {
  beforeEach(() => {
    live = new LiveClient({ transport: 'websocket' });
  });

  it('subscribes by the URL, or in words if the URL has none', async () => {
    const all = listener();
    live.subscribe({}, all);
    await pass(0);
    const first = FakeWebSocket.last;
    expect(first.url).toBe('ws://page.example/events');
    first.readyState = 1;
    first.onopen();
    expect(first.sent).toEqual([{ op: 'subscribe', name: '' }]);
    // Only now is it known what is told.
    expect(live.connection.state).toBe('connecting');
    first.say({ op: 'subscribed', name: '', id: '7-1' });
    expect(live.connection).toMatchObject({ state: 'live', transport: 'websocket' });
    first.update('7-2.0');
    first.say({ op: 'position', id: '7-4' });
    first.say({ type: 'resync', id: '7-5', reason: 'a gap' });
    first.end(1013, 'too slow');
    await pass(250);
    expect(FakeWebSocket.last.query).toBe('last_event_id=7-5');
    FakeWebSocket.last.accept();
    expect(FakeWebSocket.last.sent).toEqual([]);
    expect(all.told).toEqual(['opened', '7-2.0', 'resync: a gap']);
  });

  it.each([
    [1001, 'the server is shutting down; connect again', 2_250],
    [1013, 'too slow', 250],
    [1008, 'three pings were not answered', 250],
    [1006, '', 250],
  ])('comes back after close %i %j', async (code, reason, expected) => {
    live.subscribe({ subjects: ['auction:1'] }, {});
    await pass(0);
    FakeWebSocket.last.accept('7-1').end(code, reason);
    expect(live.connection.state).toBe('waiting');
    expect(live.connection.retryAt - Date.now()).toBe(expected);
  });

  it('gets a new ticket when one has expired', async () => {
    let number = 0;
    live = new LiveClient({ transport: 'websocket', ticket: () => `t${(number += 1)}` });
    live.subscribe({}, {});
    await pass(0);
    FakeWebSocket.last.accept('7-1').end(1008, 'the ticket has expired');
    await pass(250);
    expect(FakeWebSocket.last.query).toBe('last_event_id=7-1&ticket=t2');
  });

  it('says why it was refused', async () => {
    live.subscribe({}, {});
    await pass(0);
    FakeWebSocket.last.say({ op: 'error', name: '', detail: 'more than 64 subscriptions' });
    expect(live.connection).toMatchObject({ state: 'refused', reason: 'more than 64 subscriptions' });
  });

  it('asks for a sign of life, and goes if there is none', async () => {
    live.subscribe({ subjects: ['auction:1'] }, {});
    await pass(0);
    const socket = FakeWebSocket.last.accept('7-1');
    await pass(31_000);
    expect(socket.sent).toEqual([{ op: 'unsubscribe', name: 'nobody' }]);
    socket.say({ op: 'unsubscribed', name: 'nobody' });
    await pass(40_000);
    expect(FakeWebSocket.all).toHaveLength(1);
    await pass(30_000);
    expect(FakeWebSocket.all).toHaveLength(2);
  });

  it.each(['position', 'error', 'subscribed', 'unsubscribed'])('is told updates of the type %s', async (type) => {
    const told = [];
    live.subscribe({}, { update: (update) => told.push(update.type) });
    await pass(0);
    const socket = FakeWebSocket.last.accept('7-1');
    socket.say({ id: '7-2.0', type, subject: 'auction:1', time: 1, data: {} });
    expect(told).toEqual([type]);
    expect(live.connection.state).toBe('live');
  });

  it('does not take it for dead because the timers of an unseen page are late', async () => {
    live.subscribe({ subjects: ['auction:1'] }, {});
    await pass(0);
    const socket = FakeWebSocket.last.accept('7-1');
    for (let n = 1; n < 10; n += 1) {
      vi.setSystemTime(Date.now() + 60_000);
      await pass(15_000);
      expect(socket.sent).toHaveLength(n);
      socket.say({ op: 'unsubscribed', name: 'nobody' });
    }
    expect(FakeWebSocket.all).toHaveLength(1);
  });
});

describe('where there is no EventSource', () => {
  beforeEach(() => vi.stubGlobal('EventSource', undefined));

  it('takes WebSocket', async () => {
    live.subscribe({}, {});
    await pass(0);
    expect(FakeWebSocket.all).toHaveLength(1);
  });

  it('nor WebSocket, says so', () => {
    vi.stubGlobal('WebSocket', undefined);
    const stop = live.subscribe({}, {});
    expect(live.connection).toMatchObject({ state: 'unsupported', retryAt: null });
    expect(live.connection.reason).toBe('live updates need EventSource or WebSocket, which is missing here');
    stop();
    expect(live.connection.state).toBe('idle');
  });
});
