import { describeField, type Column } from '../column.js';

/** Describes the columns of a COPY, of which only the number is known, as Psycopg does. */
export function copyColumns(count: number): readonly Column[] {
  return Array.from({ length: count }, (_, i) =>
    describeField({
      name: `column_${String(i + 1)}`,
      typeOid: 0,
      typeSize: 0,
      typmod: -1,
      tableOid: 0,
      tableColumn: 0,
    }),
  );
}
