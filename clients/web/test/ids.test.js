import { expect, it } from 'vitest';
import { isAfter, parseId } from '../src/ids.js';

it.each([
  // A position is all of its record.
  ['7-12.0', '7-12', false],
  ['7-12.9', '7-12', false],
  ['7-13.0', '7-12', true],
  ['7-12', '7-12.3', true],
  ['7-12', '7-12', false],
  ['7-12.1', '7-12.0', true],
  ['7-12.10', '7-12.9', true],
  ['7-12.9', '7-12.10', false],
  ['7-9.0', '7-12.0', false],
  ['7-100.0', '7-99.0', true],
  // Numbers of 64 bits differ where those of JavaScript do not.
  ['7-18446744073709551615.0', '7-18446744073709551614.0', true],
  ['7-18446744073709551614.0', '7-18446744073709551615.0', false],
  // Epochs have no order.
  ['3-1.0', '7-12.0', true],
  ['7-1.0', null, true],
])('whether %s is after %s is %s', (id, cursor, expected) => {
  expect(isAfter(parseId(id), parseId(cursor))).toBe(expected);
});

it.each(['', '7', '7-', '7-1.', 'x', '7-1.2.3', null, undefined, 7])('%s is no id', (text) => {
  expect(parseId(text)).toBeNull();
});
