import { describe, expect, it } from 'vitest';
import { describeField, type Column } from '../../src/column.js';

function column(typeOid: number, typmod = -1, typeSize = -1): Column {
  return describeField({ name: 'c', tableOid: 0, tableColumn: 0, typeOid, typeSize, typmod });
}

describe('a column', () => {
  it.each<[string, number, number, number | null, number | null, number | null]>([
    ['text', 25, -1, null, null, null],
    ['numeric', 1700, -1, null, null, null],
    ['numeric(10,2)', 1700, ((10 << 16) | 2) + 4, null, 10, 2],
    ['numeric(5,0)', 1700, (5 << 16) + 4, null, 5, 0],
    ['numeric(3,-5)', 1700, ((3 << 16) | (-5 & 0x7ff)) + 4, null, 3, -5],
    ['varchar(42)', 1043, 46, 42, null, null],
    ['varchar(42)[]', 1015, 46, 42, null, null],
    ['bpchar(1)', 1042, 5, 1, null, null],
    ['bit(8)', 1560, 8, 8, null, null],
    ['varbit(9)[]', 1563, 9, 9, null, null],
    ['timestamptz(3)', 1184, 3, null, 3, null],
    ['time(0)', 1083, 0, null, 0, null],
    ['interval(2)', 1186, (0x7fff << 16) | 2, null, 2, null],
    ['date[]', 1182, -1, null, null, null],
    ['"char"', 18, -1, null, null, null],
    ['99999', 99999, -1, null, null, null],
  ])('of type %s displays its type', (display, oid, typmod, displaySize, precision, scale) => {
    expect(column(oid, typmod)).toMatchObject({
      name: 'c',
      typeCode: oid,
      typeDisplay: display,
      displaySize,
      precision,
      scale,
      nullOk: null,
    });
  });

  it('has an internal size if its type has one', () => {
    expect(column(23, -1, 4).internalSize).toBe(4);
    expect(column(25, -1, -1).internalSize).toBeNull();
    expect(column(2275, -1, -2).internalSize).toBeNull();
  });

  it('has the type’s modifier as the server stores it, null for none', () => {
    expect(column(1700, 0x5_0006).typeModifier).toBe(0x5_0006);
    expect(column(1114, 0).typeModifier).toBe(0);
    expect(column(23).typeModifier).toBeNull();
  });

  it('names its table if it comes from one', () => {
    expect(column(23)).toMatchObject({ tableOid: null, tableColumn: null });
    const field = { name: 'c', tableOid: 1259, tableColumn: 2, typeOid: 23, typeSize: 4, typmod: -1 };
    expect(describeField(field)).toMatchObject({ tableOid: 1259, tableColumn: 2 });
  });
});
