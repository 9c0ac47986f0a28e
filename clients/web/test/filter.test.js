import { describe, expect, it } from 'vitest';
import { covers, fold, matches, partOf, queryOf, unionOf, wanted } from '../src/filter.js';

const UPPER = '0xA16E02E87b7454126E5E10d957A927A7F5B5d2be';
const LOWER = UPPER.toLowerCase();
const update = (fields) => ({ id: '1-1.0', type: 'sale', subject: 'auction:1', time: 1, data: {}, ...fields });

describe('an address is one subject, however it is written', () => {
  it.each([
    [`auction:${UPPER}`, `auction:${LOWER}`],
    [`a:${UPPER}:B`, `a:${LOWER}:B`],
    [`a_${UPPER}_B`, `a_${LOWER}_B`],
    // Others keep their case, and so does what is part of something longer.
    ['Market:ALL', 'Market:ALL'],
    [`auction:${UPPER}A`, `auction:${UPPER}A`],
    [`auction:a${UPPER}`, `auction:a${UPPER}`],
  ])('%s', (text, expected) => expect(fold(text)).toBe(expected));
});

describe('an update passes if it passes all that is named', () => {
  it.each([
    [{}, {}, true],
    [{ subjects: ['auction:1'] }, {}, true],
    [{ subjects: ['auction:2', 'auction:1'] }, {}, true],
    [{ subjects: ['auction:2'] }, {}, false],
    [{ subjects: [] }, {}, false],
    [{ subjects: [`auction:${UPPER}`] }, { subject: `auction:${LOWER}` }, true],
    [{ types: ['sale'] }, {}, true],
    [{ types: ['kick'] }, {}, false],
    [{ types: ['kick'], subjects: ['auction:1'] }, {}, false],
    [{ networks: ['ethereum'] }, { data: { network: 'ethereum' } }, true],
    [{ networks: ['ethereum'] }, { data: { network: 'base' } }, false],
    [{ networks: ['ethereum'] }, {}, false],
    [{}, { type: 'alert', subject: 'alerts:big' }, false],
    [{ types: ['alert'] }, { type: 'alert', subject: 'alerts:big' }, true],
    [{ subjects: ['alerts:big'] }, { type: 'alert', subject: 'alerts:big' }, true],
    [{ subjects: ['alerts:other'], types: ['alert'] }, { type: 'alert', subject: 'alerts:big' }, false],
  ])('%j of %j: %s', (filter, fields, expected) => {
    expect(matches(wanted(filter), update(fields))).toBe(expected);
  });
});

describe('alerts and updates are asked for apart', () => {
  it.each([
    [{}, '', null],
    [{ types: ['sale'] }, 'type=sale', null],
    [{ types: ['alert'] }, null, 'type=alert'],
    [{ types: ['alert', 'sale'] }, 'type=sale', 'type=alert'],
    [{ subjects: ['alerts:big'] }, null, 'type=alert'],
    [{ subjects: ['auction:1', 'alerts:big'] }, 'subject=auction:1', 'type=alert'],
    [{ types: ['sale'], subjects: ['alerts:big'] }, null, null],
    [{ subjects: [] }, null, null],
    [{ networks: ['a b&c,d'] }, 'network=a%20b%26c%2Cd', null],
  ])('%j', (filter, updates, alerts) => {
    const query = (part) => part && queryOf(part);
    expect(query(partOf(wanted(filter), false))).toBe(updates);
    expect(query(partOf(wanted(filter), true))).toBe(alerts);
  });
});

describe('a union lets pass whatever one of its parts does', () => {
  const union = (...filters) => unionOf(filters.map(wanted));
  const many = (count) => ({ subjects: Array.from({ length: count }, (_, n) => `a:${n}`) });

  it.each([
    [[{ subjects: ['a:1'] }, { subjects: ['a:2'] }], 'subject=a:1,a:2'],
    [[{ subjects: ['a:1'] }, {}], ''],
    [[{ subjects: ['a:1'], types: ['x'] }, { subjects: ['a:2'] }], 'subject=a:1,a:2'],
    [[{ types: ['x'] }, { types: ['y', 'x'] }], 'type=x,y'],
    [[{ subjects: ['a:1'], networks: ['n'] }, { types: ['x'], networks: ['n'] }], 'network=n'],
  ])('%j', (filters, expected) => expect(queryOf(union(...filters))).toBe(expected));

  it('asks for all when the server would not take the list', () => {
    expect(union(many(200)).subjects?.size).toBe(200);
    expect(union(many(201)).subjects).toBeNull();
    expect(union({ types: many(21).subjects }).types).toBeNull();
    // A proxy would refuse the URL.
    expect(union({ subjects: Array.from({ length: 150 }, (_, n) => `auction:${'x'.repeat(40)}${n}`) }).subjects).toBeNull();
  });

  it('covers what it was made of, and nothing wider', () => {
    const both = union({ subjects: ['a:1'] }, { subjects: ['a:2'] });
    expect(covers(both, wanted({ subjects: ['a:2'], types: ['x'] }))).toBe(true);
    expect(covers(both, wanted({ subjects: ['a:3'] }))).toBe(false);
    expect(covers(both, wanted({}))).toBe(false);
    expect(covers(union({}), wanted({ subjects: ['a:3'] }))).toBe(true);
  });
});
