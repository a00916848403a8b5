import { foreignNames, isNumeric, type ForeignName } from './foreign-names.js';

/** What takes options by their names: a call, or a connection string. */
export interface Place {
  /** The call, with an argument named `options`. */
  readonly call: string;
  readonly names: Iterable<string>;
  has(name: string): boolean;
}

/** The place of connection parameters, by its `call`. */
export const CONNINFO = 'conninfo';
/** The places whose names are meant first, where several have one. */
const FIRST = ['new AsyncConnectionPool(', 'AsyncConnection.connect(', CONNINFO, 'conn.cursor('];
const places: Place[] = [];

/** Makes a place known, so that an option that was given elsewhere is sent there. */
export function registerPlace(place: Place): void {
  places.push(place);
}

/** What to write in place of an option that `place` does not have; null if nothing comes near it. */
export function explainUnknown(name: string, value: unknown, place: Place): string | null {
  const table = foreignNames();
  const foreign = Object.hasOwn(table, name) ? table[name] : undefined;
  if (foreign !== undefined) return fromForeign(name, foreign, value, place);
  const plain = plainName(name);
  const isSame = (known: string): boolean => plainName(known) === plain;
  const own = [...place.names].find(isSame);
  if (own !== undefined) return written(own, value, place);
  const elsewhere = homes().find((home) => [...home.names].some(isSame));
  if (elsewhere !== undefined) return written([...elsewhere.names].find(isSame)!, value, place);
  const spelled = Object.keys(table).find(isSame);
  if (spelled !== undefined) return fromForeign(name, table[spelled]!, value, place);
  const near = nearest(name, place.names) ?? nearest(name, homeNames());
  return near === null ? null : written(near, value, place);
}

function fromForeign(name: string, foreign: ForeignName, value: unknown, place: Place): string {
  if ('say' in foreign) return typeof foreign.say === 'string' ? foreign.say : foreign.say(value);
  const meant = foreign.to.find((candidate) => place.has(candidate)) ?? foreign.to.at(-1)!;
  if (foreign.seconds === undefined) return written(meant, value, place);
  const seconds = isNumeric(value) ? Number(value) * foreign.seconds : undefined;
  // A connection parameter is a whole number of seconds.
  const whole = seconds !== undefined && homeOf(meant)?.call === CONNINFO ? Math.ceil(seconds) : seconds;
  return `${written(meant, whole, place)}, in seconds where \`${name}\` is in milliseconds`;
}

/** The sentence that says where `name` goes, with its value if that may be shown. */
function written(name: string, value: unknown, place: Place): string {
  const isPassword = name.includes('password');
  const home = place.has(name) ? place : homeOf(name);
  const isParameter = home?.call === CONNINFO;
  const isShown = !isPassword && (isNumeric(value) || typeof value === 'boolean');
  // A connection parameter says 1 and 0 for true and false.
  const shown = !isShown ? '…' : String(typeof value === 'boolean' && isParameter ? Number(value) : value);
  if (place.has(name)) return `write \`${name}${place.call === CONNINFO ? '=' : ': '}${shown}\``;
  if (home === undefined) return `it is \`${name}\``;
  if (isParameter) {
    return (
      `it is a connection parameter, which belongs to the first argument:` +
      ` write \`${name}=${shown}\` in the connection string, or \`{ ${name}: ${shown} }\``
    );
  }
  if (home.call.startsWith(FIRST[1]!) && place.call.startsWith(FIRST[0]!))
    return `write \`connectOptions: { ${name}: ${shown} }\``;
  const call = home.call.replace(/\boptions\b/, `{ ${name}: ${shown} }`);
  return `it belongs to another call: write \`${call}\``;
}

function homeOf(name: string): Place | undefined {
  return homes().find((home) => home.has(name));
}

/** All places, those first that are meant first. */
function homes(): Place[] {
  const rank = ({ call }: Place): number => {
    const at = FIRST.findIndex((start) => call.startsWith(start));
    return at < 0 ? FIRST.length : at;
  };
  return places.toSorted((a, b) => rank(a) - rank(b));
}

function homeNames(): string[] {
  return homes()
    .filter(({ call }) => FIRST.some((start) => call.startsWith(start)))
    .flatMap(({ names }) => [...names]);
}

/** A name without what spellings differ in. */
function plainName(name: string): string {
  return name.replace(/[-_\s]/g, '').toLowerCase();
}

/** The name that differs from `name` by the fewest letters, if these are few. */
function nearest(name: string, candidates: Iterable<string>): string | null {
  const wanted = plainName(name);
  if (wanted.length > LONGEST_COMPARED) return null;
  let best: string | null = null;
  // Of a short name no more than a third may be wrong, or it is another.
  let least = Math.min(Math.floor(wanted.length / 3), 3) + 1;
  for (const candidate of candidates) {
    const distance = lettersApart(wanted, plainName(candidate));
    if (distance < least) {
      best = candidate;
      least = distance;
    }
  }
  return best;
}

const LONGEST_COMPARED = 60;

/** How many letters are to be put in, left out, changed or exchanged with the next one to make `b` of `a`. */
function lettersApart(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = last[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      row[j] = Math.min(last[j]! + 1, row[j - 1]! + 1, change);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        row[j] = Math.min(row[j]!, beforeLast[j - 2]! + 1);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length]!;
}
