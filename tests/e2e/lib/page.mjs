// The page at `/`, in a browser: its cards, the auction that is looked at, and the activity are what the chain says, without
// a reload.

import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';

const PATIENCE_MS = 10_000;
const TOKEN = 10n ** 18n;
const BROWSERS = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

export async function pageIsChain({ chain, nodes, say }) {
  const executablePath = process.env.CHROMIUM ?? BROWSERS.find((path) => existsSync(path));
  if (!executablePath) throw new Error('no Chromium: install it, or set CHROMIUM to its program');
  // Without a sandbox, as it starts by no other way for root; it opens nothing but this page.
  const browser = await chromium.launch({ executablePath, args: process.getuid() === 0 ? ['--no-sandbox'] : [] });
  try {
    return await look(await browser.newPage(), { chain, node: nodes[1], say });
  } finally {
    await browser.close();
  }
}

async function look(page, { chain, node, say }) {
  const wrong = [];
  page.on('pageerror', (error) => wrong.push(`page: ${error.message}`));
  page.on('response', (answer) => answer.status() >= 400 && wrong.push(`page: ${answer.status()} ${answer.url()}`));
  const [one] = await chain.auctions();
  await page.goto(`${node.url}/#/auction/${one}`);
  wrong.push(...(await shows(page, chain, one)));
  const began = Date.now();
  await chain.mine([chain.take(one, 2n * TOKEN)]);
  wrong.push(...(await shows(page, chain, one)));
  await chain.mine([chain.kick(one, 100n * TOKEN)]);
  wrong.push(...(await shows(page, chain, one)));
  say(`a page shows a sale and then a kick, both within ${Date.now() - began} ms`);
  return wrong;
}

/** What differs when the page has had its time. */
async function shows(page, chain, one) {
  const wanted = {};
  for (const auction of await chain.auctions()) {
    const { rounds, sales } = await chain.state(auction);
    wanted[auction] = [rounds > 0 ? `Round ${rounds}` : 'Not begun', `${sales.toLocaleString('en')} sold`];
  }
  const { rounds, sales } = await chain.state(one);
  const last = (await chain.updates()).at(-1);
  const short = `${last.auction.slice(0, 6)}…${last.auction.slice(-4)}`;
  const expected = JSON.stringify({
    cards: Object.entries(wanted).sort(),
    figures: [String(rounds), String(sales)],
    newest: [last.type === 'sale' ? 'Sale' : 'New round', short],
  });
  const read = () => page.evaluate(reading);
  let found;
  for (const end = Date.now() + PATIENCE_MS; Date.now() < end; ) {
    found = JSON.stringify(await read());
    if (found === expected) return [];
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return [`page: ${found}, not ${expected}`];
}

/** Runs in the page. */
function reading() {
  const text = (node, selector) => node.querySelector(selector)?.textContent ?? '';
  const cards = [...document.querySelectorAll('#cards > li')].map((card) => [
    card.querySelector('a').getAttribute('href').split('/').pop(),
    [text(card, '.badge'), text(card, '.card-more')],
  ]);
  return {
    cards: cards.sort(),
    figures: ['#figure-round', '#figure-sales'].map((id) => text(document, id)),
    newest: ['.what', '.about'].map((name) => text(document, `#feed > li ${name}`)),
  };
}
