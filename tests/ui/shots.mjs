// The pictures of the documentation: `make page-shots`.

import { mkdir } from 'node:fs/promises';

import { openBrowser } from './browser.mjs';
import { House, Redis, until } from './servers.mjs';

const TO = process.env.SHOTS ?? '../../docs/images';
/** It sells for this long, so that there is something to see. */
const SECONDS = Number(process.env.SECONDS ?? 45);
const AUCTION = '0x10c6e9530f1c1af873a391030a1d9e8ed0630d26';

const redis = await Redis.open();
const first = await House.openAt(3000, '--redis', redis.url, '--rate', '1', '--price-every', '2');
const second = await House.openAt(3001, '--redis', redis.url, '--events', 'none', '--price-every', '2');
const browser = await openBrowser();
try {
  const pages = [];
  for (const [name, colorScheme, viewport, deviceScaleFactor] of [
    ['page-light', 'light', { width: 1440, height: 1000 }, 1],
    ['page-dark', 'dark', { width: 1440, height: 1000 }, 1],
    ['page-phone', 'light', { width: 390, height: 844 }, 2],
  ]) {
    const context = await browser.newContext({ viewport, colorScheme, deviceScaleFactor, reducedMotion: 'reduce' });
    const page = await context.newPage();
    await page.goto(`${first.url}/#/auction/${AUCTION}`);
    pages.push({ name, page });
  }
  await new Promise((resolve) => setTimeout(resolve, SECONDS * 1_000));
  for (let sale = 0; sale < 3; sale += 1) {
    await first.act('sell', AUCTION);
    await new Promise((resolve) => setTimeout(resolve, 2_500));
  }
  await mkdir(TO, { recursive: true });
  for (const { name, page } of pages) {
    await page.click('#again');
    await until('answers are there', () => page.locator('#sources .came', { hasText: 'Hit' }).count());
    await page.screenshot({ path: `${TO}/${name}.png` });
    console.log(`${TO}/${name}.png`);
  }
} finally {
  await browser.close();
  await Promise.all([first.stop(), second.stop()]);
  await redis.stop();
}
