// Node's methods behind `toString` and `write`. They are much faster for short strings, since they skip the choice of the
// encoding. Every runtime with a Buffer has them, but the type definitions do not.
export {};
declare global {
  interface Buffer {
    asciiSlice(start: number, end: number): string;
    latin1Slice(start: number, end: number): string;
    hexSlice(start: number, end: number): string;
    utf8Slice(start: number, end: number): string;
    utf8Write(text: string, offset: number): number;
  }
}
