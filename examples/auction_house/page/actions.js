// The buttons: a kick and a purchase, as if by a transaction on the chain.

import { byId, write } from '/page/dom.js';
import { eth, milliseconds } from '/page/format.js';
import { within } from '/page/house.js';

const PATIENCE = 5_000;

export function actions(address) {
  for (const [id, done] of [
    ['kick', 'A new round began'],
    ['sell', 'Bought'],
  ]) {
    byId(id).addEventListener('click', () => act(id, address(), done));
  }
}

async function act(id, address, done) {
  const said = byId('said');
  const start = performance.now();
  write(said, 'Sending…');
  try {
    const answer = await fetch(`/actions/${id}/${address}`, { method: 'POST', signal: within(PATIENCE) });
    if (!answer.ok) throw new Error((await answer.text()) || `the server answered ${answer.status}`);
    const { paid } = await answer.json();
    const forWhat = paid ? ` for ${eth(paid)}` : '';
    write(said, `${done}${forWhat}. The transaction took ${milliseconds(performance.now() - start)}.`);
  } catch (error) {
    write(said, `That did not work: ${error.message}`);
  }
}
