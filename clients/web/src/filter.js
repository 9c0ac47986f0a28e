// Which updates a subscription wants, and what a connection asks the server for so that all are told theirs.

/** @typedef {import('./types.js').Filter} Filter */
/** @typedef {import('./types.js').Update} Update */

/**
 * `null` lets everything pass, an empty set nothing.
 *
 * @typedef {{
 *   subjects: ReadonlySet<string> | null,
 *   types: ReadonlySet<string> | null,
 *   networks: ReadonlySet<string> | null,
 * }} Wanted
 */

/** @typedef {{ filter: Wanted, handlers: import('./types.js').Handlers, lastResync: string | null }} Subscriber */

/**
 * What of a subscriber a stream serves, and where that stands.
 *
 * `unknown`: something may have happened since it came of which nobody tells it.
 * `isServed`: the present connection asks for it.
 * `from`: up to where it is told already; if it is not served, up to where others were when it came.
 *
 * @typedef {{
 *   subscriber: Subscriber,
 *   part: Wanted,
 *   unknown: boolean,
 *   isServed: boolean,
 *   from: import('./ids.js').Cursor | null,
 * }} Share
 */

export const ALERT = 'alert';
const ALERTS = 'alerts:';
/** What the server takes in one filter. */
const MAX_SUBJECTS = 200;
const MAX_OTHERS = 20;
/** Proxies refuse request lines above 8 KiB; a ticket needs room too. */
const MAX_LENGTH = 6_000;

const ADDRESS = /(^|[^0-9a-z])(0x[0-9a-f]{40})(?![0-9a-z])/gi;

/** One address is one subject, however it is written: the server says it in lower case. @param {string} subject */
export function fold(subject) {
  return subject.replace(ADDRESS, (_, before, address) => before + address.toLowerCase());
}

/** @param {Filter} filter @returns {Wanted} */
export function wanted({ subjects, types, networks }) {
  return {
    subjects: subjects ? new Set(Array.from(subjects, fold)) : null,
    types: types ? new Set(types) : null,
    networks: networks ? new Set(networks) : null,
  };
}

/**
 * The part of a subscription that is for one connection: alerts are told only to those who ask for nothing else.
 *
 * @param {Wanted} filter
 * @param {boolean} alerts
 * @returns {Wanted | null} `null` if there is none
 */
export function partOf(filter, alerts) {
  const isNothing = Object.values(filter).some((set) => set?.size === 0);
  if (isNothing) return null;
  const { subjects, types, networks } = filter;
  if (alerts) {
    const asked = types ? types.has(ALERT) : subjects && [...subjects].some(isOfAlerts);
    // There are few alerts, so their connection asks for all.
    return asked ? { subjects: null, types: new Set([ALERT]), networks: null } : null;
  }
  const others = types && without(types, (type) => type === ALERT);
  const named = subjects && without(subjects, isOfAlerts);
  if (others?.size === 0 || named?.size === 0) return null;
  return { subjects: named, types: others, networks };
}

/**
 * As the server judges.
 *
 * @param {Wanted} filter
 * @param {Update} update
 * @param {string} [subject] that of the update, folded: once for many filters
 */
export function matches({ subjects, types, networks }, update, subject = fold(update.subject)) {
  const isAlert = update.type === ALERT && isOfAlerts(subject);
  if (isAlert && !types?.has(ALERT) && !subjects?.has(subject)) return false;
  return (
    (!subjects || subjects.has(subject)) &&
    (!types || types.has(update.type)) &&
    (!networks || networks.has(update.data?.network ?? ''))
  );
}

/** What lets pass whatever one of `filters` does. @param {Wanted[]} filters @returns {Wanted} */
export function unionOf(filters) {
  const subjects = joined(filters.map((filter) => filter.subjects), MAX_SUBJECTS);
  const length = subjects ? [...subjects].join().length : 0;
  return {
    subjects: length <= MAX_LENGTH ? subjects : null,
    types: joined(filters.map((filter) => filter.types), MAX_OTHERS),
    networks: joined(filters.map((filter) => filter.networks), MAX_OTHERS),
  };
}

/** Whether all that `part` lets pass passes `union`. @param {Wanted} union @param {Wanted} part */
export function covers(union, part) {
  return (
    holds(union.subjects, part.subjects) &&
    holds(union.types, part.types) &&
    holds(union.networks, part.networks)
  );
}

/** @param {Wanted} filter @returns {string} the query, without `?` */
export function queryOf({ subjects, types, networks }) {
  const list = (/** @type {string} */ name, /** @type {ReadonlySet<string> | null} */ set) =>
    set ? [`${name}=${[...set].map(encode).join(',')}`] : [];
  return [...list('subject', subjects), ...list('type', types), ...list('network', networks)].join('&');
}

/** As `encodeURIComponent`, but colons stay: they are in every subject, and mean nothing in a query. @param {string} text */
function encode(text) {
  return encodeURIComponent(text).replace(/%3A/g, ':');
}

/** @param {string} subject */
function isOfAlerts(subject) {
  return subject.startsWith(ALERTS);
}

/** @param {ReadonlySet<string>} set @param {(text: string) => boolean} drop */
function without(set, drop) {
  return new Set([...set].filter((text) => !drop(text)));
}

/** @param {(ReadonlySet<string> | null)[]} sets @param {number} most */
function joined(sets, most) {
  const all = new Set();
  for (const set of sets) {
    if (!set) return null;
    for (const text of set) all.add(text);
  }
  return all.size <= most ? all : null;
}

/** @param {ReadonlySet<string> | null} outer @param {ReadonlySet<string> | null} inner */
function holds(outer, inner) {
  return !outer || (inner !== null && [...inner].every((text) => outer.has(text)));
}
