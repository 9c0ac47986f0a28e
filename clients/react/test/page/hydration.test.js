import { render } from '@testing-library/react';
import { createElement as h } from 'react';
import { version } from 'react-dom';
import { renderToString } from 'react-dom/server';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { useConnection, useLiveUpdates, useResource } from '../../src/index.js';
import { FakeEventSource } from '../../../web/test/support/fake-connections.js';
import { NOTHING_LEFT, begin, end, frame, pass, within } from '../support/stage.js';

let stage;
beforeEach(() => {
  stage = begin();
});
afterEach(async () => {
  expect(await end(stage)).toEqual(NOTHING_LEFT);
});

it('takes over what a server rendered, and goes live', async () => {
  expect(version.split('.')[0]).toBe(process.env.REACT);
  stage.serve = () => 'new';
  const Page = () => {
    const { updates } = useLiveUpdates({});
    const { data } = useResource('/x', {});
    return h('p', null, `${useConnection().state} ${updates.length} ${data ?? 'nothing'}`);
  };
  const element = within(stage.client, h(Page));
  const container = document.createElement('div');
  container.innerHTML = renderToString(element);
  expect(container.textContent).toBe('idle 0 nothing');
  document.body.append(container);
  render(element, { container, hydrate: true });
  await pass(20);
  FakeEventSource.last.accept('7-1').update('7-2.0');
  await frame();
  expect(container.textContent).toBe('live 1 new');
});
