import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { root } from './samples.js';

const run = promisify(execFile);

/** A file that a page shows under its name. */
export interface PageFile {
  readonly title: string;
  readonly text: string;
}

/** The files that a page, or a section of one, shows: ```` ```ts [src/db.ts] ````. */
export function filesOf(page: string): PageFile[] {
  return [...page.matchAll(/^```\w+ \[([^\]]+)\]\n(.*?)^```$/gms)].map(([, title, text]) => ({
    title: title!,
    text: text!,
  }));
}

export async function writeInto(folder: string, { title, text }: PageFile): Promise<void> {
  const path = join(folder, title);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, text);
}

/** Makes a folder a project of ES modules in TypeScript. */
export async function makeProject(folder: string, compilerOptions: object = {}): Promise<void> {
  const tsconfig = {
    compilerOptions: {
      target: 'ES2022',
      lib: ['ES2022', 'ESNext.Disposable'],
      types: ['node'],
      module: 'NodeNext',
      strict: true,
      exactOptionalPropertyTypes: true,
      noEmit: true,
      skipLibCheck: true,
      ...compilerOptions,
    },
    include: ['src'],
  };
  await writeInto(folder, { title: 'package.json', text: '{ "type": "module" }' });
  await writeInto(folder, { title: 'tsconfig.json', text: JSON.stringify(tsconfig) });
}

/** What the compiler has against a project; '' if it has nothing. */
export async function mistakesOfProject(folder: string): Promise<string> {
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  const { stdout } = await run(process.execPath, [tsc, '-p', '.', '--pretty', 'false'], {
    cwd: folder,
  }).catch((error: unknown) => error as { stdout: string });
  return stdout;
}
