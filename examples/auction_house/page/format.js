// How numbers and names are written: always as wide, so that nothing jumps.

const WEI = 10n ** 18n;

/** Wei, as text, in ETH with four decimals; – if there is none. */
export function eth(wei) {
  if (wei === null || wei === undefined || wei === '') return '–';
  try {
    const tenThousandths = BigInt(wei) / (WEI / 10_000n);
    const whole = tenThousandths / 10_000n;
    const rest = String(tenThousandths % 10_000n).padStart(4, '0');
    return `${whole.toLocaleString('en')}.${rest} ETH`;
  } catch {
    return String(wei);
  }
}

/** Wei as a number of ETH, for drawing. */
export const ethNumber = (wei) => Number(BigInt(wei) / 10n ** 12n) / 1e6;

/** Milliseconds with as many digits as count. */
export function milliseconds(time) {
  if (time === undefined) return '–';
  if (time < 1) return `${time.toFixed(2)} ms`;
  return time < 10 ? `${time.toFixed(1)} ms` : `${Math.round(time)} ms`;
}

/** How long the server took for a response, by its own clock; else what the browser saw. */
export function serverTime(response) {
  const said = /dur=([\d.]+)/.exec(response?.headers.get('server-timing') ?? '')?.[1];
  return said === undefined ? response?.milliseconds : Number(said);
}

/** `0xa16e…d2be`. */
export const short = (address) =>
  address.length > 12 ? `${address.slice(0, 6)}…${address.slice(-4)}` : address;

export const clock = (time) => new Date(time).toLocaleTimeString('en-GB');

/** Which answer a path is. */
export function answerName(path) {
  const [, , address, part] = path.split('?')[0].split('/');
  if (!address) return 'list';
  return part ? { 'price-history': 'sales', 'price-curve': 'price curve' }[part] ?? part : 'auction';
}

/** What happened, in a word or two. */
export const happening = (type) =>
  ({ sale: 'Sale', kick: 'New round', price_update: 'Price fell', alert: 'Large sale' })[type] ?? type;

/** The address in `auction:0x…`. */
export const subjectAddress = (subject) => subject?.split(':')[1] ?? '';

/** What the store did instead of answering. */
const TROUBLE = {
  'breaker-open': 'Redis away',
  'store-unavailable': 'Redis away',
  'store-timeout': 'Redis slow',
  'no-lease': 'Redis late',
  behind: 'Log behind',
};

/** What `Cache-Status` says (RFC 9211), in one word for colour and some for people. */
export function outcome(cacheStatus) {
  const status = cacheStatus ?? '';
  const forwarded = /fwd=([a-z-]+)/.exec(status)?.[1];
  const detail = /detail="?([a-z-]+)/.exec(status)?.[1];
  if (/; *hit/.test(status)) return { kind: 'hit', text: 'Hit' };
  if (!forwarded) return { kind: 'none', text: 'Not cached' };
  if (detail?.startsWith('purged')) return { kind: 'miss', text: 'Purged' };
  // One call of the origin for several who asked at once.
  if (/collapsed/.test(status)) return { kind: 'miss', text: 'Shared' };
  if (forwarded === 'stale') return { kind: 'miss', text: 'Too old' };
  if (forwarded === 'uri-miss') return { kind: 'miss', text: 'First asked' };
  if (detail) return { kind: 'miss', text: TROUBLE[detail] ?? detail.replaceAll('-', ' ') };
  return { kind: 'miss', text: 'Miss' };
}
