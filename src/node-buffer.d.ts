// Node's own methods behind `toString` and `write`, a good deal faster for short strings since they skip the choice of
// encoding. Every runtime with a Buffer has them; the type definitions leave them out.
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
