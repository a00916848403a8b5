declare module 'pgpass/lib/helper.js' {
  import type { Stats } from 'node:fs';
  import type { Readable } from 'node:stream';
  interface Helper {
    /** Whether the file may be used, as its permissions go. */
    usePgPass(stats: Stats, path: string): boolean;
    getPassword(
      connection: { host: string; port: number; database: string; user: string },
      stream: Readable,
      callback: (password: string | undefined) => void,
    ): void;
  }
  const helper: Helper;
  export default helper;
}
