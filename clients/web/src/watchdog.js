const LOOK = 15_000;
/** The server breaks its silence every 15 s. */
const PING = 30_000;
const DEAD = 45_000;

/** Notices a connection that is open and dead. */
export class Watchdog {
  #ping;
  #dead;
  #heardAt = Date.now();
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
    this.#heardAt = Date.now();
    this.#pingedAt = null;
    this.#beats ||= beats;
  }

  look() {
    const now = Date.now();
    const silence = now - this.#heardAt;
    // The timers of a page that is not seen may be late: an answer gets its time, counted from the question.
    const hadTime = !this.#ping || (this.#pingedAt !== null && now - this.#pingedAt >= DEAD - PING);
    if (this.#beats && silence >= DEAD && hadTime) return this.#dead();
    if (this.#ping && silence >= PING && this.#pingedAt === null) {
      this.#pingedAt = now;
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
