import { cleanup, render } from '@testing-library/react';
import { act, createElement as h } from 'react';
import { vi } from 'vitest';
import { FakeEventSource } from '../../../web/test/support/fake-connections.js';
import { TagcacheClient, TagcacheProvider } from '../../src/index.js';

globalThis.IS_REACT_ACT_ENVIRONMENT = true;

/** Time stands still, connections are fakes, and each answer of the server is what `serve` says. */
export function begin() {
  vi.useFakeTimers();
  FakeEventSource.all = [];
  const asked = [];
  const stage = {
    client: new TagcacheClient(),
    serve: () => ({}),
    asked,
    subscriptions: 0,
    listeners: countListeners(),
    errors: vi.spyOn(console, 'error'),
  };
  vi.stubGlobal('EventSource', FakeEventSource);
  vi.stubGlobal('fetch', async (url) => {
    asked.push(String(url));
    return Response.json(stage.serve(String(url)));
  });
  const { live } = stage.client;
  const subscribe = live.subscribe.bind(live);
  stage.subscribed = vi.spyOn(live, 'subscribe').mockImplementation((filter, handlers) => {
    const stop = subscribe(filter, handlers);
    stage.subscriptions += 1;
    return () => {
      stage.subscriptions -= 1;
      stop();
    };
  });
  return stage;
}

/** Takes everything off and says what is left. */
export async function end(stage) {
  cleanup();
  await vi.advanceTimersByTimeAsync(1_000);
  const left = {
    subscriptions: stage.subscriptions,
    timers: vi.getTimerCount(),
    connections: FakeEventSource.open.length,
    listeners: stage.listeners(),
    errors: stage.errors.mock.calls.map(([text]) => String(text)),
  };
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
  vi.useRealTimers();
  return left;
}

export const NOTHING_LEFT = { subscriptions: 0, timers: 0, connections: 0, listeners: 0, errors: [] };

export const within = (client, ...children) => h(TagcacheProvider, { client }, ...children);

export const pass = (time) => act(() => vi.advanceTimersByTimeAsync(time));
/** A frame is 16 ms. */
export const frame = () => pass(17);

/** A component that does `use`, with what it got at each render. */
export function probe(use) {
  const renders = [];
  const Probe = (props) => {
    renders.push(use(props));
    return null;
  };
  return { Probe, renders, get last() { return renders.at(-1); } };
}

/** Shows a component that does `use` and connects. */
export async function show(stage, use, props, options) {
  const probed = probe(use);
  const element = (props) => within(stage.client, h(probed.Probe, props));
  const rendered = render(element(props), options);
  await pass(20);
  FakeEventSource.last?.accept('7-1');
  await frame();
  return Object.assign(probed, {
    rerender: (props) => rendered.rerender(element(props)),
    unmount: rendered.unmount,
  });
}

/** How many listeners there are of those the client adds to the page. */
function countListeners() {
  const names = ['online', 'pageshow', 'pagehide', 'visibilitychange'];
  let count = 0;
  for (const target of [window, document]) {
    for (const [name, step] of [['addEventListener', 1], ['removeEventListener', -1]]) {
      const real = target[name].bind(target);
      vi.spyOn(target, name).mockImplementation((event, ...rest) => {
        if (names.includes(event)) count += step;
        return real(event, ...rest);
      });
    }
  }
  return () => count;
}
