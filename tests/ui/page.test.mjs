// The page as a visitor sees it: what sells appears, what that purged is shown, and what fails is said.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { DESK, PHONE, barriers, openBrowser, screenshot, visit } from './browser.mjs';
import { Crowd } from './crowd.mjs';
import { House, Redis, freePort, until } from './servers.mjs';

const AUCTION = '0xa16e02e87b7454126e5e10d957a927a7f5b5d2be';
const QUIET = ['--events', 'none', '--price-every', '0'];

let browser;
before(async () => {
  browser = await openBrowser();
});
after(() => browser.close());

const text = (page, id) => page.locator(`#${id}`).innerText();
const isLive = (page) => until('the page is live', async () => (await text(page, 'connection-text')).startsWith('Live'));
const pathOf = (house, address = AUCTION) => `${house.url}/#/auction/${address}`;

/** Opens the page of one auction, and ends all with the test. */
async function visitor(t, house, options) {
  const page = await visit(browser, pathOf(house), options);
  t.after(() => page.context().close());
  await isLive(page);
  await until('the auction is shown', async () => (await text(page, 'figure-sales')) !== '–');
  return page;
}

async function houseOf(t, ...given) {
  const house = await House.open(...given);
  t.after(() => house.stop());
  return house;
}

test('a replayed sale appears, and what it purged', async (t) => {
  const house = await houseOf(t, '--rate', '4', '--price-every', '0');
  const page = await visitor(t, house);
  await until('a sale is in the list of what happened', () => page.locator('#trail .what[data-type=sale]').count());
  await until('an answer that it purged is shown', () => page.locator('#trail .bar-result', { hasText: 'Purged' }).count());
  await until('the activity feed lists it', () => page.locator('#feed .what[data-type=sale]').count());
  await until('the figures are those of the API', async () => {
    const { sales } = await house.auction(AUCTION);
    return sales > 0 && (await text(page, 'figure-sales')) === String(sales);
  });
  assert.deepEqual(page.errors, []);
});

test('the buttons kick and buy, by keyboard too, and a reload shows the new data at once', async (t) => {
  const house = await houseOf(t, ...QUIET);
  const page = await visitor(t, house);
  await page.click('#sell');
  await until('the purchase is shown', async () => (await text(page, 'figure-sales')) === '1');
  await until('which event purged it is said', () => page.locator('#sources .came', { hasText: 'Purged by sale' }).count());
  await page.focus('#kick');
  await page.keyboard.press('Enter');
  await until('the new round is shown', async () => (await text(page, 'figure-round')) === '2');
  await page.reload();
  await until('all of it is there after a reload', async () => (await text(page, 'figure-sales')) === '1' && (await text(page, 'figure-round')) === '2');
  await page.click('#again');
  await until('who asks again gets a hit', () => page.locator('#sources .came', { hasText: 'Hit' }).count());
  assert.deepEqual(page.errors, []);
});

test('the price falls, and its curve is drawn', async (t) => {
  const house = await houseOf(t, '--events', 'none', '--price-every', '1');
  const page = await visitor(t, house);
  const first = await text(page, 'figure-price');
  await until('the price falls', async () => (await text(page, 'figure-price')) !== first);
  await until('the fall is told', () => page.locator('#trail .what[data-type=price_update]').count());
  const drawn = /^Price curve of round 1: from 2\.0000 ETH to 1\.\d{4} ETH now; 0 sales\.$/;
  await until('it is drawn', async () => drawn.test(await page.locator('#chart-title').textContent()));
});

test('two nodes are shown side by side, and a purge reaches both', async (t) => {
  const redis = await Redis.open();
  t.after(() => redis.stop());
  const first = await houseOf(t, '--redis', redis.url, ...QUIET);
  const second = await houseOf(t, '--redis', redis.url, ...QUIET);
  const page = await visitor(t, first);
  const heads = () => page.locator('#source-heads th').allInnerTexts();
  await until('both are there', async () => (await heads()).length === 3);
  await second.act('sell', AUCTION);
  const said = page.locator('#sources .said-there', { hasText: '1 sold' });
  await until('both answer with what is new', async () => (await said.count()) === 2);
  await screenshot(page, 'two-nodes');
  await second.stop();
  await until('the one that is gone goes', async () => (await heads()).length === 2);
  assert.deepEqual(page.errors, []);
});

test('the server restarts, and the page goes on where it was', async (t) => {
  const redis = await Redis.open();
  t.after(() => redis.stop());
  const other = await houseOf(t, '--redis', redis.url, ...QUIET);
  const port = await freePort();
  let house = await House.openAt(port, '--redis', redis.url, ...QUIET);
  t.after(() => house.stop());
  const page = await visitor(t, house);
  await other.act('sell', AUCTION);
  await until('the first sale is shown', async () => (await text(page, 'figure-sales')) === '1');
  const updates = () => page.evaluate(() => globalThis.auctionHouse.updates);
  await until('it is told of', async () => (await updates()) === 1);
  await house.stop();
  await until('the page says that the server is away', async () => /Server away, next try in \d+ s|Connecting/.test(await text(page, 'connection-text')) && (await page.locator('#notice').isVisible()));
  await screenshot(page, 'server-away');
  assert.match(await text(page, 'notice'), /The server does not answer/);
  assert.equal(await text(page, 'figure-sales'), '1', 'what was known stays');
  await other.act('sell', AUCTION);
  house = await House.openAt(port, '--redis', redis.url, ...QUIET);
  await isLive(page);
  await until('what happened meanwhile is shown', async () => (await text(page, 'figure-sales')) === '2');
  await until('it is told of by name', async () => (await updates()) >= 2);
  assert.equal(await updates(), 2, 'once');
  await until('nothing is said any more', async () => !(await page.locator('#notice').isVisible()));
  assert.deepEqual(page.errors, []);
});

test('Redis is stopped, and the page says so; it comes back', async (t) => {
  let redis = await Redis.open();
  t.after(() => redis.stop());
  const house = await houseOf(t, '--redis', redis.url, ...QUIET);
  const page = await visitor(t, house);
  await until('which Redis it is is said', async () => /^(Redis|Valkey) \d/.test(await text(page, 'store-text')));
  await redis.stop();
  await until('the page says so', async () => (await text(page, 'store-text')) === 'Redis away');
  assert.match(await text(page, 'notice'), /Redis does not answer\. Each answer comes from the origin/);
  await screenshot(page, 'redis-away');
  await page.click('#again');
  await until('answers come all the same', () => page.locator('#sources .came', { hasText: /Redis|First asked|Purged/ }).count());
  redis = await Redis.open(redis.port);
  await until('it is back', async () => /^(Redis|Valkey) \d/.test(await text(page, 'store-text')));
  assert.deepEqual(page.errors, []);
});

test('an unknown address is said to be unknown', async (t) => {
  const house = await houseOf(t, ...QUIET);
  const page = await visit(browser, pathOf(house, `0x${'0'.repeat(40)}`));
  t.after(() => page.context().close());
  await until('it says so', async () => /no auction at this address/.test(await text(page, 'unknown')));
  await page.goto(pathOf(house, 'nonsense<script>'));
  await until('it says that this is no address', async () => /“nonsense<script>” is not the address/.test(await text(page, 'unknown')));
  await page.locator('#cards a').first().click();
  await until('the way back', async () => page.locator('#detail-body').isVisible());
  assert.deepEqual(page.errors, []);
});

test('an old browser listens by WebSocket, and one without both is told', async (t) => {
  const house = await houseOf(t, ...QUIET);
  const page = await visitor(t, house, { script: 'delete globalThis.EventSource' });
  assert.equal(await text(page, 'connection-text'), 'Live, by WebSocket');
  await house.act('sell', AUCTION);
  await until('it is told', async () => (await text(page, 'figure-sales')) === '1');
  const older = await visit(browser, pathOf(house), { script: 'delete globalThis.EventSource; delete globalThis.WebSocket' });
  t.after(() => older.context().close());
  await until('it is told why not', async () => (await text(older, 'connection-text')) === 'No live updates here');
  assert.match(await text(older, 'notice'), /EventSource|WebSocket|live updates/i);
  await until('what there is is shown', async () => (await text(older, 'figure-sales')) === '1');
});

test('nothing stands in the way of who cannot see or use a mouse', async (t) => {
  const house = await houseOf(t, '--rate', '4', '--price-every', '2');
  for (const [colorScheme, viewport] of [
    ['light', DESK],
    ['dark', DESK],
    ['light', PHONE],
    ['dark', PHONE],
  ]) {
    const page = await visitor(t, house, { colorScheme, viewport });
    await until('things have happened', async () => (await page.locator('#trail .event').count()) > 3);
    await screenshot(page, `page-${colorScheme}-${viewport.width}`);
    assert.deepEqual(await barriers(page), [], `${colorScheme}, ${viewport.width} pixels`);
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(overflow <= 0, `${overflow} pixels do not fit into ${viewport.width}`);
    assert.deepEqual(page.errors, []);
  }
  const page = await visitor(t, house);
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.className), 'skip');
  const chosen = await text(page, 'detail-address');
  await page.keyboard.press('Enter');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'detail');
  assert.equal(await text(page, 'detail-address'), chosen, 'it is another place, and not another auction');
  const link = page.locator('#cards a').last();
  await link.focus();
  await page.keyboard.press('Enter');
  await until('the card is chosen', async () => (await link.getAttribute('aria-current')) === 'true');
});

test('prices keep their place while they change', async (t) => {
  const house = await houseOf(t, '--rate', '10', '--price-every', '1');
  const page = await visitor(t, house);
  const boxes = () =>
    page.evaluate(() => [...document.querySelectorAll('.card-price, #figure-price, #sell')].map((one) => JSON.stringify(one.getBoundingClientRect())));
  const before = await boxes();
  const updates = await page.evaluate(() => globalThis.auctionHouse.updates);
  await until('much has changed', async () => (await page.evaluate(() => globalThis.auctionHouse.updates)) > updates + 20);
  assert.deepEqual(await boxes(), before);
});

test('1,000 updates a second are drawn at most once a frame, and answers are asked for one after the other', async (t) => {
  const house = await houseOf(t, ...QUIET);
  const crowd = await Crowd.open(house);
  t.after(() => crowd.close());
  const page = await visitor(t, crowd);
  const before = await page.evaluate(() => {
    const own = { frames: 0 };
    const count = () => {
      own.frames += 1;
      requestAnimationFrame(count);
    };
    requestAnimationFrame(count);
    globalThis.own = own;
    return globalThis.auctionHouse.renders;
  });
  const asked = crowd.asked;
  const begun = Date.now();
  await crowd.tell(5_000, [`auction:${AUCTION}`, 'auction:0xb7a5bd0345ef1cc5e66bf61bdec17d2461fbd968'], 1_000);
  await until('all have come', async () => (await page.evaluate(() => globalThis.auctionHouse.updates)) >= 5_000);
  const { renders, frames, own } = await page.evaluate(() => ({ ...globalThis.auctionHouse, own: globalThis.own.frames }));
  const seconds = (Date.now() - begun) / 1000;
  t.diagnostic(`5,000 updates in ${seconds.toFixed(1)} s: drawn ${renders - before} times in ${own} frames; ${crowd.asked - asked} answers asked for`);
  assert.equal(renders, frames, 'each in a frame of its own');
  assert.ok(renders - before <= own + 2, `drawn ${renders - before} times in ${own} frames`);
  // Four paths, each ten times a second at most, for as long as it took.
  const most = 4 * (10 * seconds + 2);
  assert.ok(crowd.asked - asked <= most, `asked ${crowd.asked - asked} times, and not at most ${most}`);
  assert.deepEqual(page.errors, []);
});
