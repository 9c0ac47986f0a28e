// The pictures of the documentation: `make page-shots`.

import { mkdir } from 'node:fs/promises';

import { openBrowser } from './browser.mjs';
import { House, Redis, until } from './servers.mjs';

const TO = process.env.SHOTS ?? '../../docs/images';
/** It sells for this long, so that there is something to see. */
const SECONDS = Number(process.env.SECONDS ?? 45);

const redis = await Redis.open();
const first = await House.openAt(3000, '--redis', redis.url, '--rate', '0.5', '--price-every', '1');
const second = await House.openAt(3001, '--redis', redis.url, '--events', 'none', '--price-every', '1');
const browser = await openBrowser();

/** The auction with the longest curve to show. */
async function longest() {
  const { auctions } = await (await fetch(`${first.url}/auctions`)).json();
  const curves = await Promise.all(auctions.map(async ({ address }) => (await fetch(`${first.url}/auctions/${address}/price-curve`)).json()));
  return curves.sort((a, b) => b.points.length - a.points.length)[0].address;
}

/** One visitor at a time, so that none waits for another. */
async function picture(name, address, { colorScheme, ...size }) {
  const context = await browser.newContext({ colorScheme, reducedMotion: 'reduce', ...size });
  const page = await context.newPage();
  await page.goto(`${first.url}/#/auction/${address}`);
  await until('both nodes are shown', async () => (await page.locator('#source-heads th').count()) === 3);
  for (let sale = 0; sale < 3; sale += 1) {
    await first.act('sell', address);
    await new Promise((resolve) => setTimeout(resolve, 2_500));
  }
  await page.evaluate(() => document.getElementById('again').click());
  await until('answers are there', () => page.locator('#sources .came', { hasText: 'Hit' }).count());
  await page.screenshot({ path: `${TO}/${name}.png` });
  await context.close();
  console.log(`${TO}/${name}.png`);
}

try {
  await mkdir(TO, { recursive: true });
  await new Promise((resolve) => setTimeout(resolve, SECONDS * 1_000));
  const address = await longest();
  await picture('page-light', address, { colorScheme: 'light', viewport: { width: 1440, height: 1000 } });
  await picture('page-dark', address, { colorScheme: 'dark', viewport: { width: 1440, height: 1000 } });
  await picture('page-phone', address, { colorScheme: 'light', viewport: { width: 390, height: 844 }, deviceScaleFactor: 2 });
} finally {
  await browser.close();
  await Promise.all([first.stop(), second.stop()]);
  await redis.stop();
}
