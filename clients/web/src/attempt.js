import { now } from './backoff.js';
import { messageOf } from './report.js';
import { openEventSource, openWebSocket } from './transport.js';
import { Watchdog } from './watchdog.js';

/** @typedef {import('./types.js').Update} Update */

/**
 * How a connection ended: by the server's word, broken, refused in words, or before it was open, when nobody says why.
 *
 * @typedef {{ kind: 'ended' | 'lost' | 'refused' | 'unopened', reason: string, steady: boolean, told: boolean }} Ending
 */

/**
 * @typedef {{
 *   opened(position: string | null): void,
 *   update(update: Update): boolean,
 *   position(id: string): void,
 *   resync(id: string | null, reason: string): void,
 *   over(ending: Ending): void,
 * }} AttemptEars
 */

/**
 * What the streams of one client have in common.
 *
 * @typedef {{
 *   transport: 'sse' | 'websocket',
 *   event: string,
 *   fetch: typeof globalThis.fetch | undefined,
 *   url(query: string): string,
 *   hasTickets: boolean,
 *   ticket(): Promise<string | null>,
 *   dropTicket(ticket: string | null): void,
 *   changed(): void,
 * }} Ground
 */

/** How long a connection may take to open. */
const OPENING = 20_000;
/** One that lasted so long is worth as much as ever. */
const STEADY = 5_000;

/** One connection, from its beginning to its end, which is told once. */
export class Attempt {
  #ears;
  /** @type {import('./transport.js').Wire | null} */
  #wire = null;
  #watchdog;
  /** @type {ReturnType<typeof setTimeout>} */
  #opening;
  /** @type {number | null} */
  #openedAt = null;
  /** Whether it told anything that was new. */
  #told = false;
  #isOver = false;

  /**
   * @param {Ground} ground
   * @param {string} url
   * @param {boolean} isNamed whether `url` says what is wanted
   * @param {AttemptEars} ears
   */
  constructor({ transport, event }, url, isNamed, ears) {
    this.#ears = ears;
    this.#watchdog = new Watchdog({
      ping: transport === 'websocket' ? () => this.#wire?.ping?.() : null,
      dead: () => this.#end('lost', 'nothing was heard for 45 s'),
    });
    this.#opening = setTimeout(() => this.#end('unopened', 'the server does not answer'), OPENING);
    try {
      this.#wire =
        transport === 'sse'
          ? openEventSource(url, event, this.#hearing())
          : openWebSocket(url, isNamed, this.#hearing());
    } catch (error) {
      // Told later, as everything is: who made this does not have it yet.
      queueMicrotask(() => this.#end('refused', messageOf(error)));
    }
  }

  /** Looks whether it is alive. */
  look() {
    this.#watchdog.look();
  }

  /** Ends it; nothing is told from now on. */
  stop() {
    this.#isOver = true;
    clearTimeout(this.#opening);
    this.#watchdog.stop();
    this.#wire?.close();
  }

  /** @returns {import('./transport.js').Ears} */
  #hearing() {
    const ears = this.#ears;
    const unlessOver =
      (/** @type {(...args: any[]) => void} */ hear) =>
      (/** @type {any[]} */ ...args) => {
        if (!this.#isOver) hear(...args);
      };
    return {
      opened: unlessOver((position) => this.#open(position)),
      heard: (beats) => this.#watchdog.heard(beats),
      update: unlessOver((update) => {
        this.#told = ears.update(update) || this.#told;
      }),
      position: unlessOver((id) => ears.position(id)),
      resync: unlessOver((id, reason) => ears.resync(id, reason)),
      ended: (reason) => this.#end('ended', String(reason)),
      refused: (reason) => this.#end('refused', String(reason)),
      failed: (reason) => this.#end(this.#openedAt === null ? 'unopened' : 'lost', reason),
    };
  }

  /** @param {string | null} position */
  #open(position) {
    if (this.#openedAt !== null) return;
    this.#openedAt = now();
    clearTimeout(this.#opening);
    this.#ears.opened(position);
  }

  /** @param {Ending['kind']} kind @param {string} reason */
  #end(kind, reason) {
    if (this.#isOver) return;
    this.stop();
    const lasted = this.#openedAt === null ? 0 : now() - this.#openedAt;
    this.#ears.over({ kind, reason, steady: lasted >= STEADY, told: this.#told });
  }
}
