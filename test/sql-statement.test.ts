import { expect, it } from 'vitest';
import { userChange } from '../src/sql-statement.js';

it.each([
  ['set role a', 'a', false],
  ['  SET ROLE Abc ; ', 'abc', false],
  ['set local role "A b"', 'A b', true],
  ["/* x */ set session role 'A'", 'A', false],
  ['set session authorization a', 'a', false],
  ['set local session authorization a', 'a', true],
])('%s changes the user to a known one', (text, name, isLocal) => {
  expect(userChange('SET', text)).toEqual({ name, isLocal });
});

it.each([
  ["select set_config('role', 'Abc', true)", 'Abc', true],
  ["SELECT pg_catalog.set_config ( 'role' , $2, FALSE ), set_config('a.b', $1, true)", 'b', false],
])('%s changes the user to a known one', (text, name, isLocal) => {
  expect(userChange('SELECT 1', text, [{ text: 'a' }, { text: 'b' }])).toEqual({ name, isLocal });
});

it.each([
  ['RESET', 'reset role'],
  ['SET', 'set role none'],
  ['SET', 'set role "none"'],
  ['SET', 'set session authorization default'],
  ['SET', 'set role "a""b"'],
  ['SET', 'set role U&"a"'],
  ['SET', 'select 1; set role a'],
  ['SET', 'set role a; set role b'],
  ['SET', "set role to 'a'"],
  ['DO', "do $$ begin perform set_config('role', 'a', true); end $$"],
  ['SELECT 0', "select set_config('role', 'a', true) where false"],
  ['SELECT 1', "select set_config('role', $1, true)"],
  ['SELECT 1', "select set_config('role', 'a', true), set_config('role', 'b', true)"],
  ['SELECT 1', "select set_config('role', 'a' || x, true) from y"],
  ['SELECT 1', "select set_config('role', 'a', $1)"],
  ['SELECT 1', "select set_config($1, 'a', true)"],
])('%s by %s leaves it open who the user is', (tag, text) => {
  expect(userChange(tag, text)).toBeNull();
});
