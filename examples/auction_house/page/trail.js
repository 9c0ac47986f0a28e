// What the cache did: for each update, which answers were asked for after it, where they came from and when.

import { byId, element, list, mark, show, write } from '/page/dom.js';
import { answerName, clock, happening, milliseconds, outcome, serverTime, short, subjectAddress } from '/page/format.js';

/** Remembered, and shown. */
const KEPT = 40;
const SHOWN = 8;
/** Answers listed below one update. */
const ANSWERS = 8;
/** What is of one type within this time is one row. */
const TOGETHER = 150;
/** Reasons to ask for everything again within this time are one. */
const AT_ONCE = 2_000;
/** What is as wide as the scale, in milliseconds. */
const SCALE = 120;

/** How long answers took: of the last ones, the median. */
class Times {
  #last = [];
  count = 0;

  add(time) {
    this.count += 1;
    this.#last.push(time);
    if (this.#last.length > 99) this.#last.shift();
  }

  median() {
    const sorted = [...this.#last].sort((a, b) => a - b);
    return sorted[sorted.length >> 1];
  }
}

export class Trail {
  #byUpdate = new Map();
  groups = [];
  times = { hits: new Times(), misses: new Times() };

  /** An update has come. */
  told(update) {
    const last = this.groups[0];
    if (last?.type === update.type && update.time - last.time < TOGETHER) {
      last.count += 1;
      last.subjects.add(update.subject);
      this.#byUpdate.set(update.id, last);
      return;
    }
    const subjects = new Set([update.subject]);
    this.#add({ id: update.id, type: update.type, time: update.time, toldAt: Date.now(), subjects, count: 1 });
  }

  /** What happened is not known. */
  resynced(reason) {
    const now = Date.now();
    const last = this.groups[0];
    if (last?.type === 'resync' && now - last.time < AT_ONCE) {
      last.reasons.add(reason);
      return;
    }
    this.#add({ id: `resync-${now}`, type: 'resync', time: now, toldAt: now, subjects: new Set(), reasons: new Set([reason]) });
  }

  /** A node has answered, which is called by a letter. */
  answered(node, { path, response, cause }) {
    if (!response) return;
    const came = outcome(response.cacheStatus);
    const atServer = serverTime(response);
    if (came.kind === 'hit') this.times.hits.add(atServer);
    if (came.kind === 'miss') this.times.misses.add(atServer);
    const group =
      cause.kind === 'update'
        ? this.#byUpdate.get(cause.update.id)
        : cause.kind === 'resync' && this.groups.find((one) => one.type === 'resync');
    if (!group || group.answers.length >= ANSWERS) return;
    group.answers.push({ node, path, startedAt: response.startedAt, took: response.milliseconds, atServer, came });
  }

  #add(group) {
    group.answers = [];
    this.groups.unshift(group);
    this.#byUpdate.set(group.id, group);
    if (this.groups.length <= KEPT) return;
    this.groups.length = KEPT;
    const kept = new Set(this.groups);
    for (const [id, one] of this.#byUpdate) if (!kept.has(one)) this.#byUpdate.delete(id);
  }
}

/** With `several` nodes each answer says whose it is. */
export function drawTrail(trail, several) {
  const shown = trail.groups.slice(0, SHOWN);
  show(byId('trail-empty'), shown.length === 0);
  list(byId('trail'), shown, (group) => group.id, makeGroup, (parts, group) => updateGroup(parts, group, several));
}

function makeGroup() {
  const title = element('span', { class: 'what' });
  const about = element('span', { class: 'about' });
  const when = element('time', { class: 'when' });
  const effect = element('p', { class: 'effect' });
  const answers = element('ul', { class: 'bars' });
  const made = element('li', { class: 'event' }, element('p', { class: 'event-head' }, title, about, when), effect, answers);
  made.parts = { title, about, when, effect, answers };
  return made;
}

function updateGroup({ title, about, when, effect, answers }, group, several) {
  const times = group.count > group.subjects.size ? ` × ${group.count}` : '';
  write(title, group.type === 'resync' ? 'Everything is asked again' : happening(group.type) + times);
  mark(title, 'type', group.type);
  write(about, group.subjects.size > 1 ? `${group.subjects.size} auctions` : short(subjectAddress([...group.subjects][0] ?? '')));
  write(when, clock(group.time));
  write(effect, effectOf(group));
  list(answers, group.answers, (one) => `${one.node} ${one.path} ${one.startedAt}`, makeBar, (parts, one) =>
    updateBar(parts, one, group, several),
  );
}

function effectOf(group) {
  if (group.type === 'resync') return [...group.reasons].join('; ');
  const purged = group.answers.filter((one) => one.came.text === 'Purged').length;
  const told = `told after ${milliseconds(Math.max(0, group.toldAt - group.time))}`;
  const s = purged === 1 ? '' : 's';
  return purged > 0 ? `purged ${purged} answer${s} of this page, ${told}` : told;
}

function makeBar() {
  const label = element('span', { class: 'bar-label' });
  const told = element('span', { class: 'bar told' });
  const took = element('span', { class: 'bar' });
  const track = element('span', { class: 'track', 'aria-hidden': 'true' }, told, took);
  const result = element('span', { class: 'bar-result' });
  const made = element('li', {}, label, track, result);
  made.parts = { label, told, took, result };
  return made;
}

function updateBar({ label, told, took, result }, one, group, several) {
  const node = several ? ` · ${one.node}` : '';
  write(label, answerName(one.path) + node);
  const begun = Math.max(0, one.startedAt - group.time);
  const share = (time) => `${Math.min(100, (100 * time) / SCALE)}%`;
  told.style.width = share(begun);
  took.style.left = share(Math.min(begun, SCALE * 0.96));
  took.style.width = `max(3px, ${share(Math.min(one.took, Math.max(SCALE - begun, SCALE * 0.04)))})`;
  mark(took, 'kind', one.came.kind);
  mark(result, 'kind', one.came.kind);
  write(result, `${one.came.text} · ${milliseconds(one.atServer)}`);
}
