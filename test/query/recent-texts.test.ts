import { expect, test } from 'vitest';
import { RecentTexts } from '../../src/query/recent-texts.js';

function counted(): { recent: RecentTexts<string[]>; made: string[] } {
  const made: string[] = [];
  const recent = new RecentTexts((text) => {
    made.push(text);
    return [text];
  });
  return { recent, made };
}

test('a repeated text is read once', () => {
  const { recent, made } = counted();
  expect(recent.get('SELECT 1')).toBe(recent.get('SELECT 1'));
  expect(made).toEqual(['SELECT 1']);
});

test('the text used longest ago is forgotten once 128 others were used', () => {
  const { recent, made } = counted();
  for (let i = 0; i < 128; i++) recent.get(`SELECT ${String(i)}`);
  recent.get('SELECT 0');
  recent.get('SELECT 128');
  made.length = 0;
  recent.get('SELECT 0');
  expect(made).toEqual([]);
  recent.get('SELECT 1');
  expect(made).toEqual(['SELECT 1']);
});

test('a long text is not kept, since it may hold data', () => {
  const { recent, made } = counted();
  const long = 'x'.repeat(4097);
  recent.get(long);
  recent.get(long);
  expect(made).toHaveLength(2);
});

test('a text of which nothing can be made raises each time', () => {
  const recent = new RecentTexts((): never => {
    throw new RangeError('no');
  });
  expect(() => recent.get('x')).toThrow(RangeError);
  expect(() => recent.get('x')).toThrow(RangeError);
});
