import { describeField, type Column } from '../column.js';

/** What is known of the columns of a COPY: how many there are. They are named and described as Psycopg does it. */
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
