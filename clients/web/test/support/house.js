import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

const BESIDE = join(import.meta.dirname, '../../../../target/debug/examples/auction_house');
const PROGRAM = process.env.AUCTION_HOUSE ?? BESIDE;

/** The example's server, in a process of its own. */
export async function openHouse(...options) {
  if (!existsSync(PROGRAM)) {
    throw new Error(`${PROGRAM} is missing: cargo build --example auction_house, or set AUCTION_HOUSE to where it is`);
  }
  const { REDIS_CONNECTION_URI: _redis, DATABASE_URL: _database, ...environment } = process.env;
  const house = spawn(PROGRAM, ['--listen', '127.0.0.1:0', ...options], { env: environment });
  // Also if a test fails before it closes it.
  const kill = () => house.kill('SIGKILL');
  process.once('exit', kill);
  let output = '';
  const origin = await new Promise((resolve, reject) => {
    const read = (chunk) => {
      output += chunk;
      const found = /open at (http:\/\/[^\s]+)/.exec(output);
      if (found) resolve(found[1]);
    };
    house.stdout.on('data', read);
    house.stderr.on('data', read);
    house.once('error', reject);
    house.once('exit', () => reject(new Error(`the auction house did not open: ${output}`)));
  });
  // What it says from here on is not kept.
  house.stdout.removeAllListeners('data').resume();
  house.stderr.removeAllListeners('data').resume();
  const ended = new Promise((resolve) => house.once('exit', resolve));
  const close = async (signal = 'SIGKILL') => {
    house.kill(signal);
    await ended;
    process.off('exit', kill);
  };
  return { origin, port: Number(new URL(origin).port), close };
}
