import type * as Crypto from 'node:crypto';
import type * as Dns from 'node:dns';
import type * as Fs from 'node:fs/promises';
import { createRequire } from 'node:module';
import type * as Net from 'node:net';
import type * as Os from 'node:os';
import type * as Stream from 'node:stream';
import type * as Tls from 'node:tls';

/**
 * The modules of Node that take long to load. A process that imports the package may never open a connection, so each of them is
 * loaded at its first use. An `import` can't do that: it runs at once, or is asynchronous.
 */
export const node = {
  get crypto() {
    return load('node:crypto') as typeof Crypto;
  },
  get dns() {
    return load('node:dns') as typeof Dns;
  },
  /** With promises. */
  get fs() {
    return load('node:fs/promises') as typeof Fs;
  },
  get net() {
    return load('node:net') as typeof Net;
  },
  get os() {
    return load('node:os') as typeof Os;
  },
  get stream() {
    return load('node:stream') as typeof Stream;
  },
  get tls() {
    return load('node:tls') as typeof Tls;
  },
};

const loaded = new Map<string, unknown>();

function load(name: string): unknown {
  let module = loaded.get(name);
  if (module === undefined) {
    // Before Node 20.16 there is only require(). Where it is made for makes no difference to a module of Node.
    module = process.getBuiltinModule?.(name) ?? createRequire(process.execPath)(name);
    loaded.set(name, module);
  }
  return module;
}
