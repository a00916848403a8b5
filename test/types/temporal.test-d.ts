// Checked by the compiler, never run: `npm run typecheck` fails where a type is not the one expected here.
import { Temporal as JsTemporal } from '@js-temporal/polyfill';
import { expectTypeOf } from 'expect-type';
import { Temporal } from 'temporal-polyfill';
import { Temporal as FullTemporal } from 'temporal-polyfill/full';
import {
  adapters,
  OffsetTime,
  registerTemporal,
  type AsyncConnection,
  type AsyncCursor,
  type TemporalApi,
} from '../../src/index.js';

/** The members of the runtime's Temporal that are used, as TypeScript 6 declares them with `lib: ["ESNext.Temporal"]`. */
declare const ofTheRuntime: {
  readonly PlainDate: new (
    isoYear: number,
    isoMonth: number,
    isoDay: number,
    calendar?: string,
  ) => { toString(options?: CalendarOptions): string };
  readonly PlainTime: new (
    hour?: number,
    minute?: number,
    second?: number,
    millisecond?: number,
    microsecond?: number,
    nanosecond?: number,
  ) => { toString(options?: PrecisionOptions): string };
  readonly PlainDateTime: new (
    isoYear: number,
    isoMonth: number,
    isoDay: number,
    hour?: number,
    minute?: number,
    second?: number,
    millisecond?: number,
    microsecond?: number,
    nanosecond?: number,
    calendar?: string,
  ) => { toString(options?: CalendarOptions & PrecisionOptions): string };
  readonly Instant: InstantConstructor;
  readonly ZonedDateTime: new (
    epochNanoseconds: bigint,
    timeZone: string,
    calendar?: string,
  ) => {
    toInstant(): InstanceType<InstantConstructor>;
    toString(
      options?: CalendarOptions & PrecisionOptions & { offset?: 'auto' | 'never' | undefined },
    ): string;
  };
  readonly Duration: new (
    years?: number,
    months?: number,
    weeks?: number,
    days?: number,
    hours?: number,
    minutes?: number,
    seconds?: number,
    milliseconds?: number,
    microseconds?: number,
    nanoseconds?: number,
  ) => { toString(options?: Omit<PrecisionOptions, 'smallestUnit'>): string };
};
type InstantConstructor = new (epochNanoseconds: bigint) => {
  toString(options?: PrecisionOptions & { timeZone?: string | undefined }): string;
};
interface CalendarOptions {
  calendarName?: 'auto' | 'always' | 'never' | 'critical' | undefined;
}
interface PrecisionOptions {
  fractionalSecondDigits?: 'auto' | 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | undefined;
  smallestUnit?: 'minute' | 'second' | 'millisecond' | 'microsecond' | 'nanosecond' | undefined;
  roundingMode?: 'ceil' | 'floor' | 'expand' | 'trunc' | 'halfExpand' | undefined;
}
declare const connection: AsyncConnection;
declare const cursor: AsyncCursor;

expectTypeOf(Temporal).toExtend<TemporalApi>();
expectTypeOf(FullTemporal).toExtend<TemporalApi>();
expectTypeOf(JsTemporal).toExtend<TemporalApi>();
expectTypeOf(ofTheRuntime).toExtend<TemporalApi>();

registerTemporal();
registerTemporal(null, { Temporal: JsTemporal });
registerTemporal(connection, { Temporal });
registerTemporal(cursor, { Temporal: FullTemporal });
registerTemporal(adapters, { Temporal: ofTheRuntime });

// @ts-expect-error -- Temporal is an option, not the options
registerTemporal(connection, Temporal);
// @ts-expect-error -- nor the context
registerTemporal({ Temporal });
// @ts-expect-error -- one of its classes is not all of them
registerTemporal(connection, { Temporal: { PlainDate: Temporal.PlainDate } });

const opens = new OffsetTime(Temporal.PlainTime.from('09:30'), '+05:45');
expectTypeOf(opens.time).toEqualTypeOf<Temporal.PlainTime>();
expectTypeOf(
  opens.equals(new OffsetTime(JsTemporal.PlainTime.from('09:30'), '+05:45')),
).toEqualTypeOf<boolean>();
// @ts-expect-error -- the offset is not part of the time
export const offsetMissing = new OffsetTime('09:30+05:45');

adapters.registerDumper(Temporal.PlainDate, (date) => {
  expectTypeOf(date).toEqualTypeOf<Temporal.PlainDate>();
  return date.toString();
});
