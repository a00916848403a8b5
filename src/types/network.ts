import { DOT, ZERO, trimmed } from './ascii.js';
import { node } from '../node-modules.js';
import { writeHex } from './bytea.js';
import { fixed, malformed, refused, shown, sized, wrongSize, type Codec } from './codec.js';
import { textual } from './textual.js';

const FAMILY_4 = 2;
const FAMILY_6 = 3;

/** No address is longer. */
const LONGEST = 60;

/** Makes the codec of inet or cidr. Binary format: family, netmask bits, whether it is a cidr, number of bytes, and the address. */
function address(type: 'inet' | 'cidr'): Codec {
  const isCidr = type === 'cidr';
  return textual({
    textToBinary: (text, out, place) => {
      const [host = '', mask, ...more] = text.length > LONGEST ? [] : text.split('/');
      const bytes = node.net.isIPv4(host)
        ? host.split('.').map(Number)
        : node.net.isIPv6(host)
          ? ipv6Bytes(host)
          : null;
      const most = 8 * (bytes?.length ?? 0);
      const masked = mask === undefined ? most : /^\d{1,3}$/.test(mask) ? Number(mask) : Infinity;
      if (bytes === null || more.length > 0 || masked > most) {
        throw refused(place, `${shown(text)} is no ${type} address`);
      }
      if (isCidr && hasBitsBehind(bytes, masked)) {
        throw refused(place, `${shown(text)} has bits to the right of its mask, which a cidr can't have`);
      }
      const family = bytes.length === 4 ? FAMILY_4 : FAMILY_6;
      out.append(Uint8Array.of(family, masked, isCidr ? 1 : 0, bytes.length, ...bytes));
    },
    binaryToText: sized(type, 4, (bytes, start, end) => {
      const size = bytes[start + 3]!;
      const mask = bytes[start + 1]!;
      const fits = size === (bytes[start] === FAMILY_4 ? 4 : bytes[start] === FAMILY_6 ? 16 : -1);
      if (!fits || mask > 8 * size || end - start !== 4 + size) throw wrongSize(type, start, end);
      const host = bytes.subarray(start + 4, end);
      if (isCidr && hasBitsBehind([...host], mask)) {
        throw malformed(type, 'it has bits to the right of its mask');
      }
      const text = size === 4 ? host.join('.') : ipv6Text(host);
      return isCidr || mask !== 8 * size ? `${text}/${String(mask)}` : text;
    }),
  });
}

function hasBitsBehind(address: readonly number[], mask: number): boolean {
  return address.some((byte, i) => (byte & (0xff >> Math.min(8, Math.max(0, mask - 8 * i)))) !== 0);
}

function ipv6Bytes(host: string): number[] | null {
  if (host.includes('%')) return null;
  // An IPv4 address at the end stands for two groups.
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

/**
 * Formats an IPv6 address in the server's form: `::` replaces the first of the longest runs of zero groups, and an embedded IPv4
 * address has dots.
 */
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

const SLASH = 0x2f;

/** The end of a number from 0 to 255 without leading zeros; -1 if there is none. */
function endOfOctet(bytes: Buffer, at: number): number {
  const first = bytes[at]! - ZERO;
  if (!isDigit(first)) return -1;
  const second = bytes[at + 1]! - ZERO;
  if (!isDigit(second)) return at + 1;
  if (first === 0) return -1;
  const third = bytes[at + 2]! - ZERO;
  if (!isDigit(third)) return at + 2;
  return first * 100 + second * 10 + third <= 255 ? at + 3 : -1;
}

/** Also false for the NaN that a position behind the bytes gives. */
function isDigit(value: number): boolean {
  return value >= 0 && value <= 9;
}

/** The end of an IPv4 address without a netmask, the most frequent form by far; -1 for another one. */
function endOfIPv4(bytes: Buffer, start: number, end: number): number {
  let at = endOfOctet(bytes, start);
  for (let part = 1; part < 4; part++) {
    if (at < 0 || bytes[at] !== DOT) return -1;
    at = endOfOctet(bytes, at + 1);
  }
  return at > end || bytes[at] === SLASH ? -1 : at;
}

const anyInet = address('inet');
export const inet: Codec = {
  ...anyInet,
  endOfText: (bytes, start, end) => {
    const at = endOfIPv4(bytes, start, end);
    return at >= 0 ? at : anyInet.endOfText!(bytes, start, end);
  },
};
export const cidr = address('cidr');

/** Matches the forms of a MAC address, in which `h` stands for a hexadecimal digit. */
function macForms(forms: string): RegExp {
  return new RegExp(`^(?:${forms.replaceAll('h', '[0-9a-f]')})$`, 'i');
}

/** Makes the codec of macaddr (6 bytes) or macaddr8, whose text has one of the `forms`. */
function mac(type: string, size: 6 | 8, forms: RegExp): Codec {
  return textual({
    textToBinary: (text, out, place) => {
      const refuse = (): Error => refused(place, `${shown(text)} is not a ${type}`);
      const written = trimmed(text);
      if (!forms.test(written)) throw refuse();
      writeHex(written.replace(/[-:.]/g, ''), out, refuse);
    },
    binaryToText: fixed(type, size, (bytes, start) =>
      bytes
        .hexSlice(start, start + size)
        .match(/../g)!
        .join(':'),
    ),
  });
}

export const macaddr = mac(
  'macaddr',
  6,
  macForms('hh(?::hh){5}|hh(?:-hh){5}|h{6}[-:]h{6}|h{4}[.]h{4}[.]h{4}|h{4}-h{4}-h{4}|h{12}'),
);
// The separator may be left out anywhere, but there is only one.
export const macaddr8 = mac('macaddr8', 8, macForms('hh(?::?hh){7}|hh(?:-?hh){7}|hh(?:[.]?hh){7}'));
