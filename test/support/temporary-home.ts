import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, vi } from 'vitest';

/** A home directory for each test of a file. The environment that a test stubs is restored with it. */
export interface TemporaryHome {
  readonly path: string;
  /** Writes a file in it, and returns its path; `mode` applies whatever the umask is. */
  write(name: string, content: string | Uint8Array, mode?: number): Promise<string>;
}

export function temporaryHome(): TemporaryHome {
  let home = '';
  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), 'usingpg-home-'));
    vi.stubEnv('HOME', home);
  });
  afterEach(async () => {
    vi.unstubAllEnvs();
    await rm(home, { recursive: true, force: true });
  });
  return {
    get path() {
      return home;
    },
    async write(name, content, mode = 0o600) {
      const path = join(home, name);
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, content);
      await chmod(path, mode);
      return path;
    },
  };
}
