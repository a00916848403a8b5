import type { Random } from '../support/random.js';
import type { RecordedMessage, Recording } from '../support/recording.js';

/** The traces of a mutation that the client can detect. */
export type Harm =
  /** None: it changes the bytes of a value, or other free-form content. */
  | 'values'
  /** A whole row, piece of data or notification is missing, duplicated or moved. */
  | 'rows'
  /** Every row that the client accepts must be correct. */
  | 'structure';

/** A recording with one mutation. */
export interface Mutated {
  readonly recording: Recording;
  readonly harm: Harm;
  /** Describes the mutation, for the analysis of a failure. */
  readonly description: string;
}

const LENGTHS = [0, 1, 3, 4, 5, 0x7fffffff, 0x7fffff00, 0x40000000, -1, -2, -0x80000000] as const;
const COUNTS = [-1, -2, -0x8000, 0x7fff, 0, 1, 0x4000] as const;
const TYPES = [...Buffer.from('RK23CdcDIEnNAsS1ZTtGHWVv')];

type Mutator = (random: Random, recording: Recording, at: number) => Mutated | null;

/** Applies one random mutation to one message of `recording`. */
export function mutate(random: Random, recording: Recording): Mutated {
  for (;;) {
    const at = random.below(recording.length);
    const mutated = random.pick(MUTATORS)(random, recording, at);
    if (mutated === null) continue;
    const { bytes } = recording[at]!;
    return {
      ...mutated,
      description: `message ${String(at)} ('${letterOf(bytes)}', ${String(bytes.length)} bytes): ${mutated.description}`,
    };
  }
}

const flipBit: Mutator = (random, recording, at) => {
  const bytes = Buffer.from(recording[at]!.bytes);
  const place = random.below(bytes.length);
  bytes[place]! ^= 1 << random.below(8);
  const harm = harmAt(recording[at]!.bytes, place);
  return replaced(recording, at, bytes, harm, `a bit flipped in byte ${String(place)}`);
};

const scramble: Mutator = (random, recording, at) => {
  const original = recording[at]!.bytes;
  if (original.length <= 5) return null;
  const bytes = Buffer.from(original);
  const from = 5 + random.below(bytes.length - 5);
  const garbage = random.bytes(Math.min(bytes.length - from, 1 + random.below(8)));
  garbage.copy(bytes, from);
  const places = [...garbage.keys()].map((i) => harmAt(original, from + i));
  const harm = places.includes('structure') && letterOf(original) !== 'D' ? 'structure' : 'values';
  return replaced(recording, at, bytes, harm, `${String(garbage.length)} random bytes at ${String(from)}`);
};

const changeLength: Mutator = (random, recording, at) => {
  const bytes = Buffer.from(recording[at]!.bytes);
  const length = random.chance(0.5)
    ? random.pick(LENGTHS)
    : Math.max(0, bytes.length - 1 + random.pick([-9, -4, -2, -1, 1, 2, 5, 6, 20]));
  bytes.writeInt32BE(length, 1);
  // Where data is passed on as it arrives, missing or additional bytes cannot be detected.
  const harm = isOpaque(bytes) ? 'values' : 'structure';
  return replaced(recording, at, bytes, harm, `its length is said to be ${String(length)}`);
};

const truncate: Mutator = (random, recording, at) => {
  const original = recording[at]!.bytes;
  if (original.length <= 5) return null;
  const bytes = Buffer.from(original.subarray(0, 5 + random.below(original.length - 5)));
  const consistent = random.chance(0.7);
  if (consistent) bytes.writeInt32BE(bytes.length - 1, 1);
  const how = consistent ? 'and its length with it' : 'but not its length';
  return replaced(
    recording,
    at,
    bytes,
    isOpaque(bytes) ? 'values' : 'structure',
    `cut to ${String(bytes.length)} bytes, ${how}`,
  );
};

const extend: Mutator = (random, recording, at) => {
  const bytes = Buffer.concat([recording[at]!.bytes, random.bytes(1 + random.below(10))]);
  bytes.writeInt32BE(bytes.length - 1, 1);
  const harm = isOpaque(bytes) ? 'values' : 'structure';
  return replaced(recording, at, bytes, harm, `longer, ${String(bytes.length)} bytes`);
};

const changeType: Mutator = (random, recording, at) => {
  const bytes = Buffer.from(recording[at]!.bytes);
  const type = random.chance(0.8) ? random.pick(TYPES) : random.below(256);
  if (type === bytes[0]) return null;
  bytes[0] = type;
  return replaced(recording, at, bytes, 'structure', `said to be a '${String.fromCharCode(type)}'`);
};

const changeCount: Mutator = (random, recording, at) => {
  const bytes = Buffer.from(recording[at]!.bytes);
  if (!['D', 'T', 'G', 'H'].includes(letterOf(bytes))) return null;
  const place = letterOf(bytes) === 'D' || letterOf(bytes) === 'T' ? 5 : 6;
  const count = random.pick(COUNTS);
  if (bytes.readInt16BE(place) === count) return null;
  bytes.writeInt16BE(count, place);
  return replaced(recording, at, bytes, 'structure', `its count is ${String(count)}`);
};

const changeValueLength: Mutator = (random, recording, at) => {
  const bytes = Buffer.from(recording[at]!.bytes);
  if (letterOf(bytes) !== 'D') return null;
  const places = valueLengthsOf(bytes);
  if (places.length === 0) return null;
  const place = random.pick(places);
  const before = bytes.readInt32BE(place);
  const after = random.chance(0.6) ? random.pick(LENGTHS) : before + random.pick([-2, -1, 1, 2, 4, 8]);
  // An empty value and NULL have the same length.
  if (after === before || (before <= 0 && (after === 0 || after === -1))) return null;
  bytes.writeInt32BE(after, place);
  return replaced(
    recording,
    at,
    bytes,
    'structure',
    `a value of ${String(before)} bytes said to have ${String(after)}`,
  );
};

const drop: Mutator = (_, recording, at) => ({
  recording: recording.filter((_message, i) => i !== at),
  harm: harmToRows(recording[at]!.bytes),
  description: 'dropped',
});

const duplicate: Mutator = (_, recording, at) => ({
  recording: recording.flatMap((message, i) => (i === at ? [message, message] : [message])),
  harm: harmToRows(recording[at]!.bytes),
  description: 'sent twice',
});

const swap: Mutator = (_, recording, at) => {
  const [one, other] = [recording[at]!, recording[at + 1]];
  if (other === undefined || one.bytes.equals(other.bytes)) return null;
  const swapped = [...recording];
  // Each message is sent when the other would have been.
  swapped[at] = { after: one.after, bytes: other.bytes };
  swapped[at + 1] = { after: other.after, bytes: one.bytes };
  const harms = [harmToRows(one.bytes), harmToRows(other.bytes)];
  return {
    recording: swapped,
    harm: harms.includes('rows') ? 'rows' : 'structure',
    description: `in the place of the one behind it ('${letterOf(other.bytes)}')`,
  };
};

const insertGarbage: Mutator = (random, recording, at) => {
  const bytes = random.bytes(1 + random.below(40));
  return {
    recording: recording.toSpliced(at, 0, { after: recording[at]!.after, bytes }),
    harm: 'structure',
    description: `behind ${String(bytes.length)} bytes of garbage, ${bytes.toString('hex')}`,
  };
};

const MUTATORS: readonly Mutator[] = [
  flipBit,
  flipBit,
  flipBit,
  scramble,
  changeLength,
  truncate,
  extend,
  changeType,
  changeType,
  changeCount,
  changeValueLength,
  changeValueLength,
  drop,
  duplicate,
  swap,
  insertGarbage,
];

function replaced(recording: Recording, at: number, bytes: Buffer, harm: Harm, description: string): Mutated {
  const message: RecordedMessage = { after: recording[at]!.after, bytes };
  return { recording: recording.with(at, message), harm, description };
}

function letterOf(bytes: Buffer): string {
  return String.fromCharCode(bytes[0]!);
}

/** Whether a message contains free-form data. */
function isOpaque(bytes: Buffer): boolean {
  return letterOf(bytes) === 'd';
}

function harmToRows(bytes: Buffer): Harm {
  return ['D', 'd', 'A'].includes(letterOf(bytes)) ? 'rows' : 'structure';
}

/** The harm of a change of the byte at `place`. */
function harmAt(bytes: Buffer, place: number): Harm {
  if (place < 5) return isOpaque(bytes) && place > 0 ? 'values' : 'structure';
  switch (letterOf(bytes)) {
    case 'D': {
      let isStructure = place < 7;
      for (const at of valueLengthsOf(bytes)) isStructure ||= place >= at && place < at + 4;
      return isStructure ? 'structure' : 'values';
    }
    // Names and types of columns, settings, data, payloads.
    case 'T':
      return place < 7 ? 'structure' : 'values';
    case 'S':
    case 'd':
    case 'A':
      return 'values';
    default:
      return 'structure';
  }
}

/** The positions of the value lengths in a row. */
function valueLengthsOf(bytes: Buffer): number[] {
  const places: number[] = [];
  for (let at = 7; at + 4 <= bytes.length; at += 4 + Math.max(0, bytes.readInt32BE(at))) places.push(at);
  return places;
}
