import { now } from './backoff.js';

const LOOK = 15_000;
/** The server breaks its silence every 15 s. */
const PING = 30_000;
const DEAD = 45_000;

/** Notices a connection that is open and dead. */
export class Watchdog {
  #ping;
  #dead;
  #heardAt = now();
  /** By the clock on the wall as well: the other one stands still in a machine that sleeps, and this one is set at times. */
  #heardOn = Date.now();
  #beats = false;
  /** @type {number | null} */
  #pingedAt = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /** @param {{ ping: (() => void) | null, dead(): void }} ears `ping` asks for a sign of life, where none comes by itself */
  constructor({ ping, dead }) {
    this.#ping = ping;
    this.#dead = dead;
    this.#arm();
  }

  /** @param {boolean} beats whether it was a sign that silence would be broken too: older servers give none */
  heard(beats) {
    this.#heardAt = now();
    this.#heardOn = Date.now();
    this.#pingedAt = null;
    this.#beats ||= beats;
  }

  look() {
    const time = now();
    const silence = Math.max(time - this.#heardAt, Date.now() - this.#heardOn);
    // The timers of a page that is not seen may be late: an answer gets its time, counted from the question.
    const hadTime = !this.#ping || (this.#pingedAt !== null && time - this.#pingedAt >= DEAD - PING);
    if (this.#beats && silence >= DEAD && hadTime) return this.#dead();
    if (this.#ping && silence >= PING && this.#pingedAt === null) {
      this.#pingedAt = time;
      this.#ping();
    }
    this.#arm();
  }

  stop() {
    clearTimeout(this.#timer);
  }

  #arm() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.look(), LOOK);
  }
}
