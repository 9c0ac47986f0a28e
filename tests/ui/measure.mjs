// How long until the page shows something, and an update: for people to read, as times are different on each machine.

import { openBrowser, visit } from './browser.mjs';
import { House, until } from './servers.mjs';

const OPENINGS = Number(process.env.OPENINGS ?? 20);
const SALES = Number(process.env.SALES ?? 200);
const AUCTION = '0xa16e02e87b7454126e5e10d957a927a7f5b5d2be';

const sorted = (times) => [...times].sort((a, b) => a - b);
const at = (times, share) => sorted(times)[Math.min(times.length - 1, Math.floor(times.length * share))];
const summary = (times) => `median ${at(times, 0.5).toFixed(0)} ms, p90 ${at(times, 0.9).toFixed(0)} ms, longest ${at(times, 1).toFixed(0)} ms`;

/** Notes when the first auction with its price was painted. */
const WATCH = `
  const look = () => {
    if (document.querySelector('.card-price')?.textContent) requestAnimationFrame(() => { globalThis.usefulAt = performance.now(); });
    else requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
`;

const house = await House.open('--events', 'none', '--price-every', '0');
const browser = await openBrowser();
try {
  const [painted, useful] = [[], []];
  for (let opening = 0; opening < OPENINGS; opening += 1) {
    const page = await visit(browser, house.url, { script: WATCH });
    useful.push(await until('the auctions are shown', () => page.evaluate(() => globalThis.usefulAt)));
    painted.push(await page.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? NaN));
    await page.context().close();
  }
  console.log(`first paint, ${OPENINGS} openings with an empty cache: ${summary(painted)}`);
  console.log(`first useful paint, auctions with their prices: ${summary(useful)}`);

  const page = await visit(browser, `${house.url}/#/auction/${AUCTION}`);
  await until('it is live', async () => (await page.locator('#connection-text').innerText()) === 'Live');
  for (let sale = 0; sale < SALES; sale += 1) {
    await house.act('sell', AUCTION);
    await until('it is drawn', () => page.evaluate((wanted) => globalThis.auctionHouse.delays.length > wanted, sale));
  }
  const delays = await page.evaluate(() => globalThis.auctionHouse.delays);
  console.log(`from the purge until the update was drawn, ${SALES} sales: ${summary(delays)}`);
} finally {
  await browser.close();
  await house.stop();
}
