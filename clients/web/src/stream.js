import { Attempt } from './attempt.js';
import { backoff, notBefore, now, slowly, spread } from './backoff.js';
import { covers, fold, matches, queryOf, unionOf } from './filter.js';
import { follows, isAfter, parseId } from './ids.js';
import { probe } from './probe.js';
import { call, messageOf } from './report.js';

/** @typedef {import('./filter.js').Wanted} Wanted */
/** @typedef {import('./filter.js').Subscriber} Subscriber */
/** @typedef {import('./filter.js').Share} Share */
/** @typedef {import('./ids.js').Cursor} Cursor */
/** @typedef {import('./attempt.js').Ground} Ground */

/** How long subscriptions are collected that change what is asked for. */
const COLLECT = 20;
/** How much time is between two connections at least, if only what is wanted changes: a list that is scrolled, say. */
const SPACING = 500;
/** How long one that opens is waited for. */
const OPENING = 10_000;
/** How long there may be none before the connection is closed: pages take components off and put them back. */
const GRACE = 500;
/** How long a connection may be told more than is wanted. */
const SURPLUS = 10_000;

/** One connection for many subscribers, made again and again. */
export class Stream {
  #ground;
  /** @type {Map<Subscriber, Share>} */
  #shares = new Map();
  /** What the present connection asks for. @type {Wanted | null} */
  #union = null;
  /** Up to where everything was told. @type {Cursor | null} */
  #cursor = null;
  /** @type {Attempt | null} */
  #attempt = null;
  /** Aborted when what was begun for the present attempt is of no use any more. */
  #present = new AbortController();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #retry;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #review;
  #reviewAt = Infinity;
  #connectedAt = -Infinity;
  #failures = 0;
  #unauthorized = 0;
  #isAway = false;
  /** @type {Pick<import('./types.js').Connection, 'state' | 'retryAt' | 'reason'>} */
  #status = { state: 'idle', retryAt: null, reason: null };

  /** @param {Ground} ground */
  constructor(ground) {
    this.#ground = ground;
  }

  /** @returns {import('./types.js').Connection} */
  get connection() {
    const { transport } = this.#ground;
    return { ...this.#status, transport, attempt: this.#status.state === 'live' ? 0 : this.#failures };
  }

  /** @param {Subscriber} subscriber @param {Wanted} part */
  add(subscriber, part) {
    const isLive = this.#status.state === 'live';
    const isServed = this.#union !== null && covers(this.#union, part);
    const unknown = !this.#cursor && !(isLive && isServed);
    this.#shares.set(subscriber, { subscriber, part, unknown, isServed, from: this.#cursor });
    if (this.#status.state === 'idle') {
      this.#become('connecting');
      this.#reviewIn(0);
    } else if (!isServed) {
      this.#reviewIn(Math.max(COLLECT, this.#connectedAt + SPACING - now()));
    }
  }

  /** @param {Subscriber} subscriber */
  remove(subscriber) {
    if (!this.#shares.delete(subscriber)) return;
    if (this.#shares.size > 0) return this.#reviewIn(SURPLUS);
    this.#reviewAt = Infinity;
    this.#reviewIn(GRACE);
  }

  reconnect() {
    if (this.#shares.size > 0 && !this.#isAway) this.#connect();
  }

  /** The time has come, if anybody is still there. */
  #again() {
    if (this.#shares.size > 0) this.#connect();
    else this.#settle();
  }

  wake() {
    if (this.#status.state === 'waiting') this.reconnect();
    else this.#attempt?.look();
  }

  hide() {
    if (this.#shares.size === 0) return this.#settle();
    this.#isAway = true;
    this.#halt();
    this.#become('waiting', null, 'the page is put away');
  }

  show() {
    if (!this.#isAway) return this.wake();
    this.#isAway = false;
    this.#again();
  }

  close() {
    this.#shares.clear();
    this.#settle();
  }

  /** Looks soon, and at the latest in `wait`, whether the connection is the right one. @param {number} wait */
  #reviewIn(wait) {
    const at = now() + wait;
    if (at >= this.#reviewAt) return;
    this.#reviewAt = at;
    clearTimeout(this.#review);
    this.#review = setTimeout(() => {
      this.#reviewAt = Infinity;
      if (this.#shares.size === 0) return this.#settle();
      // Who waits asks for the right thing when the time comes.
      if (this.#isAway || this.#status.state === 'waiting') return;
      // One that is slow to open would never open if each change began another.
      const isOpening = this.#status.state === 'connecting' && this.#union !== null;
      if (isOpening && now() - this.#connectedAt < OPENING) return this.#reviewIn(SPACING);
      const wanted = this.#wanted();
      const isRight = this.#union && covers(this.#union, wanted) && covers(wanted, this.#union);
      if (!isRight) this.#connect();
    }, wait);
  }

  #wanted() {
    return unionOf([...this.#shares.values()].map((share) => share.part));
  }

  /** Nobody wants anything: the next one begins anew. */
  #settle() {
    this.#halt();
    clearTimeout(this.#review);
    this.#reviewAt = Infinity;
    this.#union = this.#cursor = null;
    this.#isAway = false;
    this.#failures = this.#unauthorized = 0;
    this.#become('idle');
  }

  #halt() {
    this.#present.abort();
    clearTimeout(this.#retry);
    this.#attempt?.stop();
    this.#attempt = null;
  }

  #connect() {
    this.#halt();
    this.#present = new AbortController();
    this.#union = this.#wanted();
    this.#serveAll();
    this.#connectedAt = now();
    this.#become('connecting', null, this.#failures ? this.#status.reason : null);
    // Nothing it does fails.
    void this.#begin(this.#union, this.#present.signal);
  }

  /** Goes back to where those stand who were not served, whom what others were told meanwhile did not reach. */
  #serveAll() {
    const told = this.#cursor;
    for (const share of this.#shares.values()) {
      const { isServed, from } = share;
      share.isServed = true;
      if (isServed && told && isAfter(told, from)) share.from = told;
      if (!isServed && follows(this.#cursor, from)) this.#cursor = from;
    }
  }

  /** @param {Wanted} union @param {AbortSignal} signal */
  async #begin(union, signal) {
    /** @type {string | null} */
    let ticket = null;
    try {
      ticket = await this.#ground.ticket();
    } catch (error) {
      if (!signal.aborted) this.#wait(backoff(++this.#failures), `there is no ticket: ${messageOf(error)}`);
      return;
    }
    if (signal.aborted) return;
    const cursor = this.#cursor;
    const filter = queryOf(union);
    const resume = cursor && `last_event_id=${cursor.text}`;
    const admit = ticket && `ticket=${encodeURIComponent(ticket)}`;
    const url = this.#ground.url([filter, resume, admit].filter(Boolean).join('&'));
    const isNamed = filter !== '' || cursor !== null || this.#ground.url('').includes('?');
    this.#attempt = new Attempt(this.#ground, url, isNamed, {
      opened: (position) => this.#opened(union, cursor !== null, position),
      update: (update) => this.#update(update),
      position: (id) => this.#advance(id),
      resync: (id, reason) => this.#resync(id, reason),
      over: (ending) => void this.#over(ending, url, ticket, signal),
    });
  }

  /** @param {Wanted} union @param {boolean} isResumed @param {string | null} position */
  #opened(union, isResumed, position) {
    if (position) this.#advance(position);
    this.#unauthorized = 0;
    this.#become('live');
    for (const share of [...this.#shares.values()]) {
      // Who came meanwhile and is not served yet has another connection coming; who was told may have ended others.
      if (!covers(union, share.part) || !this.#shares.has(share.subscriber)) continue;
      if (share.unknown) {
        share.unknown = false;
        call(() => share.subscriber.handlers.opened?.());
      } else if (!isResumed) {
        this.#tellResync(share, null, 'what happened between two connections is not known');
      }
    }
  }

  /** @param {import('./types.js').Update} update @returns {boolean} whether it was new */
  #update(update) {
    const id = parseId(update.id);
    if (id && !isAfter(id, this.#cursor)) return false;
    this.#cursor = id ?? this.#cursor;
    const subject = fold(update.subject);
    Object.freeze(update.data);
    Object.freeze(update);
    for (const { subscriber, isServed, from } of [...this.#shares.values()]) {
      const isNews = isServed && (!id || isAfter(id, from));
      if (!isNews || !matches(subscriber.filter, update, subject) || !this.#shares.has(subscriber)) continue;
      call(() => subscriber.handlers.update?.(update));
    }
    return true;
  }

  /** @param {string} text */
  #advance(text) {
    const id = parseId(text);
    if (id && isAfter(id, this.#cursor)) this.#cursor = id;
  }

  /** @param {string | null} text @param {string} reason */
  #resync(text, reason) {
    const id = parseId(text);
    // In its order it is like an update. Else what comes counts from where the server says, also if that lies before.
    const isNext = id !== null && follows(id, this.#cursor);
    this.#cursor = id ?? this.#cursor;
    for (const share of [...this.#shares.values()]) {
      if (!isNext) share.from = this.#cursor;
      else if (!share.isServed || !isAfter(id, share.from)) continue;
      this.#tellResync(share, text, reason);
    }
  }

  /** @param {Share} share @param {string | null} id @param {string} reason */
  #tellResync({ subscriber }, id, reason) {
    if (!this.#shares.has(subscriber)) return;
    // Who listens by two streams is told by both.
    if (id !== null && subscriber.lastResync === id) return;
    subscriber.lastResync = id;
    call(() => subscriber.handlers.resync?.(reason));
  }

  /** @param {import('./attempt.js').Ending} ending @param {string} url @param {string | null} ticket @param {AbortSignal} signal */
  async #over({ kind, reason, steady, told }, url, ticket, signal) {
    if (steady) this.#failures = 0;
    // One that told something new and broke is no reason for longer and longer pauses, nor for none.
    else if (told) this.#failures = Math.min(this.#failures, 1);
    const failures = ++this.#failures;
    if (kind === 'refused') return this.#refused(reason);
    if (kind === 'lost') return this.#wait(backoff(failures), reason);
    if (kind === 'ended') {
      const isOfTicket = /ticket/.test(reason);
      if (isOfTicket) this.#ground.dropTicket(ticket);
      // All its clients are told so at once.
      const isClosing = /shutting down/.test(reason);
      return this.#wait(backoff(failures) + (isClosing ? spread() : 0), reason);
    }
    const finding = await probe(url, this.#ground.fetch, signal);
    if (signal.aborted) return;
    switch (finding.kind) {
      case 'unauthorized':
        if (!this.#ground.hasTickets) return this.#refused(finding.reason);
        this.#ground.dropTicket(ticket);
        // A ticket may have run out. If a new one is no better, another will hardly be.
        return this.#unauthorized++ ? this.#wait(backoff(failures, 1_000), finding.reason) : this.#connect();
      case 'refused':
        return this.#refused(finding.reason);
      case 'busy':
        return this.#wait(backoff(failures) + notBefore(finding.wait ?? 0), finding.reason);
      case 'again':
        return this.#wait(backoff(failures), finding.reason);
    }
  }

  /** @param {string} reason */
  #refused(reason) {
    this.#wait(slowly(), reason, 'refused');
  }

  /** @param {number} wait @param {string} reason @param {'waiting' | 'refused'} [state] */
  #wait(wait, reason, state = 'waiting') {
    this.#halt();
    this.#retry = setTimeout(() => this.#again(), wait);
    this.#become(state, Date.now() + wait, reason);
  }

  /** @param {import('./types.js').ConnectionState} state @param {number | null} [retryAt] @param {string | null} [reason] */
  #become(state, retryAt = null, reason = null) {
    this.#status = { state, retryAt, reason };
    this.#ground.changed();
  }
}
