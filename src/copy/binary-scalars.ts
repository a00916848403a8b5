import { isUint8Array } from '../adapt/realm.js';
import { isIPv4, isIPv6 } from 'node:net';
import { loadBytes } from '../adapt/load-text.js';
import type { Loader } from '../wire/row-decoder.js';
import type { BinaryType } from './binary-type.js';
import type { Block } from './block.js';
import { writeUtf8 } from './encode-text.js';
import { shown } from './row-place.js';

const utf8 = (bytes: Buffer, start: number, end: number): string => bytes.utf8Slice(start, end);

/** Types whose binary format is their text: text, varchar, xml, enums … */
export const plainText: BinaryType = { writeText: writeUtf8, load: utf8, text: utf8 };

export const json: BinaryType = { writeText: writeUtf8, load: parseJson, text: utf8 };

const JSONB_VERSION = 1;

/** jsonb: the version of the format, and JSON. */
export const jsonb: BinaryType = {
  writeText: (text, out, place) => {
    out.room(1);
    out.bytes[out.length++] = JSONB_VERSION;
    writeUtf8(text, out, place);
  },
  load: (bytes, start, end) => parseJson(bytes, start + 1, end),
  text: (bytes, start, end) => utf8(bytes, start + 1, end),
};

function parseJson(bytes: Buffer, start: number, end: number): unknown {
  return JSON.parse(bytes.utf8Slice(start, end));
}

const TRUE = /^\s*(?:t|tr|tru|true|y|ye|yes|on|1)\s*$/i;
const FALSE = /^\s*(?:f|fa|fal|fals|false|n|no|of|off|0)\s*$/i;

export const bool: BinaryType = {
  writeText: (text, out, place) => {
    const isTrue = TRUE.test(text);
    if (!isTrue && !FALSE.test(text)) throw place.refuse(`${shown(text)} is not a bool`);
    writeByte(isTrue ? 1 : 0, out);
  },
  writeValue: (value, out) => {
    if (typeof value !== 'boolean') return false;
    writeByte(value ? 1 : 0, out);
    return true;
  },
  load: (bytes, start) => bytes[start] !== 0,
  text: (bytes, start) => (bytes[start] === 0 ? 'f' : 't'),
};

function writeByte(byte: number, out: Block): void {
  out.room(1);
  out.bytes[out.length++] = byte;
}

/** "char": one byte; none is a zero, and beyond ASCII it is three octal digits. */
export const char: BinaryType = {
  writeText: (text, out, place) => {
    const octal = /^\\([0-3][0-7]{2})$/.exec(text)?.[1];
    if (octal !== undefined) writeByte(Number.parseInt(octal, 8), out);
    else if (text.length < 2 && !(text.charCodeAt(0) > 0x7f))
      writeByte(text === '' ? 0 : text.charCodeAt(0), out);
    else throw place.refuse(`${shown(text)} is not one byte for "char"`);
  },
  load: (bytes, start) => charText(bytes[start]!),
  text: (bytes, start) => charText(bytes[start]!),
};

function charText(byte: number): string {
  if (byte === 0) return '';
  return byte > 0x7f ? `\\${byte.toString(8)}` : String.fromCharCode(byte);
}

const BYTEA = /^(?:\\x(?:\s*[0-9a-f]{2})*\s*|(?:[^\\]|\\\\|\\[0-3][0-7]{2})*)$/i;

export const bytea: BinaryType = {
  writeText: (text, out, place) => {
    if (!BYTEA.test(text)) throw place.refuse(`${shown(text)} is not a bytea: pass a Uint8Array`);
    const bytes = Buffer.from(/^\\x/i.test(text) ? `\\x${text.slice(2).replace(/\s/g, '')}` : text);
    out.append(loadBytes(bytes, 0, bytes.length) as Buffer);
  },
  writeValue: (value, out) => {
    if (!isUint8Array(value)) return false;
    out.append(value);
    return true;
  },
  load: copyOf,
  text: (bytes, start, end) => `\\x${bytes.toString('hex', start, end)}`,
};

/** Bytes of its own: the piece they came in would be kept for a few of them. */
function copyOf(bytes: Buffer, start: number, end: number): Buffer {
  return Buffer.from(bytes.subarray(start, end));
}

/** What is not known any better. */
export const loadRaw: Loader = copyOf;

const UUID = /^\s*(\{)?([0-9a-f]{4}(?:-?[0-9a-f]{4}){7})(\})?\s*$/i;

export const uuid: BinaryType = {
  writeText: (text, out, place) => {
    const match = UUID.exec(text);
    if (match === null || (match[1] === undefined) !== (match[3] === undefined)) {
      throw place.refuse(`${shown(text)} is not a uuid`);
    }
    writeHex(match[2]!.replaceAll('-', ''), out);
  },
  load: (bytes, start) => uuidText(bytes, start),
  text: (bytes, start) => uuidText(bytes, start),
};

function uuidText(bytes: Buffer, start: number): string {
  const digits = bytes.toString('hex', start, start + 16);
  return `${digits.slice(0, 8)}-${digits.slice(8, 12)}-${digits.slice(12, 16)}-${digits.slice(16, 20)}-${digits.slice(20)}`;
}

function writeHex(digits: string, out: Block): void {
  out.room(digits.length / 2);
  out.length += out.bytes.write(digits, out.length, 'hex');
}

/** macaddr (6 bytes) and macaddr8. */
export function macaddrType(name: string, size: 6 | 8): BinaryType {
  const text = (bytes: Buffer, start: number): string =>
    bytes
      .toString('hex', start, start + size)
      .match(/../g)!
      .join(':');
  return {
    writeText: (value, out, place) => {
      const digits = value.trim().replace(/[-:.]/g, '');
      if (!/^[0-9a-f]*$/i.test(digits) || digits.length !== 2 * size) {
        throw place.refuse(`${shown(value)} is not a ${name}`);
      }
      writeHex(digits, out);
    },
    load: text,
    text,
  };
}

/** bit and varbit: how many bits, and the bits. */
export const bits: BinaryType = {
  writeText: (text, out, place) => {
    const digits = /^b?([01]*)$/i.exec(text)?.[1];
    if (digits === undefined) throw place.refuse(`${shown(text)} is not a bit string of 0 and 1`);
    out.int32(digits.length);
    for (let at = 0; at < digits.length; at += 8) {
      writeByte(Number.parseInt(digits.slice(at, at + 8).padEnd(8, '0'), 2), out);
    }
  },
  load: (bytes, start) => bitText(bytes, start),
  text: (bytes, start) => bitText(bytes, start),
};

function bitText(bytes: Buffer, start: number): string {
  const count = bytes.readInt32BE(start);
  let text = '';
  for (let at = 0; at < count; at += 8) text += bytes[start + 4 + at / 8]!.toString(2).padStart(8, '0');
  return text.slice(0, count);
}

const FAMILY_4 = 2;
const FAMILY_6 = 3;

/** inet and cidr: family, netmask bits, whether it is a cidr, how many bytes, and the bytes of the address. */
export function inetType(name: 'inet' | 'cidr'): BinaryType {
  const isCidr = name === 'cidr';
  const text = (bytes: Buffer, start: number): string => {
    const size = bytes[start + 3]!;
    const address = bytes.subarray(start + 4, start + 4 + size);
    const mask = bytes[start + 1]!;
    const host = size === 4 ? address.join('.') : ipv6Text(address);
    return isCidr || mask !== 8 * size ? `${host}/${String(mask)}` : host;
  };
  return {
    writeText: (value, out, place) => {
      const [host = '', mask, ...more] = value.trim().split('/');
      const address = isIPv4(host) ? host.split('.').map(Number) : isIPv6(host) ? ipv6Bytes(host) : null;
      const most = 8 * (address?.length ?? 0);
      const masked = mask === undefined ? most : /^\d{1,3}$/.test(mask) ? Number(mask) : Infinity;
      if (address === null || more.length > 0 || masked > most) {
        throw place.refuse(`${shown(value)} is not an ${name} address`);
      }
      if (
        isCidr &&
        address.some((byte, i) => (byte & (0xff >> Math.min(8, Math.max(0, masked - 8 * i)))) !== 0)
      ) {
        throw place.refuse(`${shown(value)} has bits to the right of its mask, which a cidr can't have`);
      }
      out.append(
        Uint8Array.of(
          address.length === 4 ? FAMILY_4 : FAMILY_6,
          masked,
          isCidr ? 1 : 0,
          address.length,
          ...address,
        ),
      );
    },
    load: text,
    text,
  };
}

function ipv6Bytes(host: string): number[] | null {
  if (host.includes('%')) return null;
  // 1.2.3.4 at the end stands for two of the groups.
  const plain = host.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_all, ...parts: string[]) => {
    const [a, b, c, d] = parts.map(Number);
    return `${((a! << 8) | b!).toString(16)}:${((c! << 8) | d!).toString(16)}`;
  });
  const [left = '', right] = plain.split('::');
  const groupsOf = (side: string): string[] => (side === '' ? [] : side.split(':'));
  const before = groupsOf(left);
  const after = right === undefined ? [] : groupsOf(right);
  const between = new Array<string>(8 - before.length - after.length).fill('0');
  return [...before, ...between, ...after].flatMap((group) => {
    const word = Number.parseInt(group, 16);
    return [word >> 8, word & 0xff];
  });
}

/** As the server writes it: the first of the longest runs of zero groups is `::`, an IPv4 address within it has dots. */
function ipv6Text(address: Buffer): string {
  const words = Array.from({ length: 8 }, (_, i) => address.readUInt16BE(2 * i));
  let best = { base: -1, length: 1 };
  for (let i = 0; i < 8; i++) {
    let end = i;
    while (end < 8 && words[end] === 0) end++;
    if (end - i > best.length) best = { base: i, length: end - i };
    if (end > i) i = end;
  }
  const hasIpv4 = best.base === 0 && (best.length === 6 || (best.length === 5 && words[5] === 0xffff));
  const hex = (from: number, to: number): string =>
    words
      .slice(from, to)
      .map((word) => word.toString(16))
      .join(':');
  if (hasIpv4) return `::${best.length === 5 ? 'ffff:' : ''}${address.subarray(12).join('.')}`;
  if (best.base < 0) return hex(0, 8);
  return `${hex(0, best.base)}::${hex(best.base + best.length, 8)}`;
}
