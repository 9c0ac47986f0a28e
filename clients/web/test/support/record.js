import { EventSource } from 'eventsource';
import { expect } from 'vitest';
import { until } from './until.js';

/** What an uncut stream says, by the plainest of clients. */
export function recordOf(url) {
  const source = new EventSource(url);
  const all = [];
  const note = ({ data }) => all.push(JSON.parse(data));
  source.addEventListener('auction_update', note);
  source.addEventListener('resync', note);
  let errors = 0;
  source.onerror = () => (errors += 1);
  return {
    all,
    close() {
      source.close();
      expect(errors, 'the record was cut too').toBe(0);
    },
  };
}

/** Subscribes and notes what is told: ids of updates, reasons of resyncs. */
export function follow(live, filter) {
  const since = live.connection.state === 'idle' ? null : Date.now();
  const told = [];
  const stop = live.subscribe(filter, {
    update: (update) => told.push(update.id),
    resync: (reason) => told.push(reason),
  });
  return { filter, since, told, stop };
}

export const isId = (text) => /^\d+-\d+\.\d+$/.test(text);

/**
 * Holds what one subscription was told, to its last update, against the record: from its first update on, which must not be
 * later than it should be if the client was connected before. Returns how much that was.
 */
export async function judge({ filter, since, told }, record) {
  const last = told.findLast(isId);
  const first = told.findIndex(isId);
  if (first < 0) return 0;
  await until(() => record.all.some((one) => one.id === last), 'the record is as far');
  const isTheirs = (one) => one.type === 'resync' || !filter.subjects || filter.subjects.includes(one.subject);
  const theirs = record.all.filter(isTheirs);
  const expected = theirs.map((one) => (one.type === 'resync' ? one.reason : one.id));
  const from = expected.indexOf(told[first]);
  expect(from, 'the record knows the first').toBeGreaterThanOrEqual(0);
  const got = told.slice(first, told.lastIndexOf(last) + 1);
  expect(got).toEqual(expected.slice(from, expected.indexOf(last) + 1));
  const missed = theirs.slice(0, from).filter((one) => since !== null && one.time > since);
  expect(missed, 'what came between the subscription and its first update').toEqual([]);
  return got.length;
}
