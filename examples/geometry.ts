import type { ByteWriter, Codec } from '../src/index.js';

/** A GeoJSON geometry (RFC 7946), with the PostGIS reference system if it has one. */
export interface Geometry {
  readonly type: string;
  readonly coordinates?: unknown;
  readonly geometries?: readonly Geometry[];
  readonly srid?: number;
}

type Position = readonly number[];

/** The kinds of geometries by their number in WKB, with the nesting depth of their coordinates. */
const KINDS = [
  ['Point', 0],
  ['LineString', 1],
  ['Polygon', 2],
  ['MultiPoint', 1],
  ['MultiLineString', 2],
  ['MultiPolygon', 3],
] as const;
const COLLECTION = 7;
const HAS_Z = 0x8000_0000;
const HAS_M = 0x4000_0000;
const HAS_SRID = 0x2000_0000;
const LITTLE_ENDIAN = 1;

/** PostGIS's `geometry` as GeoJSON. Its text is its binary format, EWKB, in hexadecimal digits. */
export const geometry: Codec<Geometry> = {
  readText: (bytes, start, end) => parse(Buffer.from(bytes.toString('latin1', start, end), 'hex')),
  readBinary: (bytes, start, end) => parse(bytes.subarray(start, end)),
  preferBinary: 'columns',
  takes: (value) => typeof value === 'object' && value !== null && 'type' in value,
  writeText: (value) => {
    const out = new Ewkb();
    out.geometry(value, value.srid);
    return out.bytes().toString('hex');
  },
  writeBinary: (value, out) => {
    const ewkb = new Ewkb();
    ewkb.geometry(value, value.srid);
    out.append(ewkb.bytes());
  },
  // Hexadecimal digits from another dumper.
  textToBinary: (text, out: ByteWriter) => {
    out.append(Buffer.from(text, 'hex'));
  },
  binaryToText: (bytes, start, end) => bytes.toString('hex', start, end),
};

function parse(bytes: Buffer): Geometry {
  const reader = new EwkbReader(bytes);
  const value = reader.geometry(0);
  if (reader.at !== bytes.length) throw new Error('bytes after the end of a geometry');
  return value;
}

/** Reads EWKB. Node's own methods refuse to read beyond the end. */
class EwkbReader {
  readonly #bytes: Buffer;
  at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  geometry(depth: number): Geometry {
    if (depth > 16) throw new Error('a geometry that is nested too deep');
    const little = this.#bytes.readUInt8(this.at++) === LITTLE_ENDIAN;
    const kind = this.#uint32(little);
    const srid = (kind & HAS_SRID) !== 0 ? { srid: this.#uint32(little) } : {};
    const width = 2 + ((kind & HAS_Z) !== 0 ? 1 : 0) + ((kind & HAS_M) !== 0 ? 1 : 0);
    const number = kind & 0xff;
    if (number === COLLECTION) {
      return {
        type: 'GeometryCollection',
        geometries: this.#many(little, () => this.geometry(depth + 1)),
        ...srid,
      };
    }
    const [type, nesting] = KINDS[number - 1] ?? [];
    if (type === undefined) throw new Error(`a geometry of the unknown kind ${String(number)}`);
    const isMulti = type.startsWith('Multi');
    const coordinates = isMulti
      ? this.#many(little, () => this.geometry(depth + 1).coordinates)
      : this.#coordinates(little, width, nesting);
    return { type, coordinates, ...srid };
  }

  #coordinates(little: boolean, width: number, nesting: number): unknown {
    if (nesting > 0) return this.#many(little, () => this.#coordinates(little, width, nesting - 1));
    const position = Array.from({ length: width }, () => this.#float64(little));
    // An empty point has NaN as its coordinates.
    return position.every(Number.isNaN) ? [] : position;
  }

  #many<T>(little: boolean, read: () => T): T[] {
    const count = this.#uint32(little);
    if (count > this.#bytes.length - this.at) throw new Error('a geometry that is cut off');
    return Array.from({ length: count }, read);
  }

  #uint32(little: boolean): number {
    this.at += 4;
    return little ? this.#bytes.readUInt32LE(this.at - 4) : this.#bytes.readUInt32BE(this.at - 4);
  }

  #float64(little: boolean): number {
    this.at += 8;
    return little ? this.#bytes.readDoubleLE(this.at - 8) : this.#bytes.readDoubleBE(this.at - 8);
  }
}

/** Writes EWKB, with the most significant byte first. */
class Ewkb {
  readonly #parts: Buffer[] = [];

  bytes(): Buffer {
    return Buffer.concat(this.#parts);
  }

  geometry({ type, coordinates, geometries }: Geometry, srid?: number): void {
    const number =
      type === 'GeometryCollection' ? COLLECTION : KINDS.findIndex(([name]) => name === type) + 1;
    if (number === 0) throw new Error(`${type} is no type of GeoJSON's geometries`);
    const width = widthOf(geometries?.[0]?.coordinates ?? coordinates);
    this.#parts.push(Buffer.of(0));
    this.#uint32((number | (width > 2 ? HAS_Z : 0) | (srid === undefined ? 0 : HAS_SRID)) >>> 0);
    if (srid !== undefined) this.#uint32(srid);
    if (number === COLLECTION) {
      this.#uint32(geometries!.length);
      for (const part of geometries!) this.geometry(part);
    } else if (type.startsWith('Multi')) {
      this.#uint32((coordinates as unknown[]).length);
      for (const part of coordinates as unknown[]) this.geometry({ type: type.slice(5), coordinates: part });
    } else {
      this.#coordinates(coordinates as Position, KINDS[number - 1]![1]);
    }
  }

  #coordinates(coordinates: readonly unknown[], nesting: number): void {
    if (nesting > 0) {
      this.#uint32(coordinates.length);
      for (const part of coordinates) this.#coordinates(part as readonly unknown[], nesting - 1);
      return;
    }
    const position = coordinates.length === 0 ? [NaN, NaN] : (coordinates as Position);
    const part = Buffer.alloc(8 * position.length);
    for (const [i, number] of position.entries()) part.writeDoubleBE(number, 8 * i);
    this.#parts.push(part);
  }

  #uint32(value: number): void {
    const part = Buffer.alloc(4);
    part.writeUInt32BE(value);
    this.#parts.push(part);
  }
}

function widthOf(coordinates: unknown): number {
  if (!Array.isArray(coordinates)) return 2;
  return typeof coordinates[0] === 'number' ? coordinates.length : widthOf(coordinates[0]);
}
