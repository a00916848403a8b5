// Tells what stands in the way of releasing a tag: node tools/check-release.mjs v0.1.0
import { readFileSync } from 'node:fs';

/** What is wrong with releasing `tag` from a package.json, a CHANGELOG.md, a SECURITY.md and a README.md. */
export function problems(tag, { manifest, changelog, security, readme }) {
  const { version } = JSON.parse(manifest);
  const found = [];
  if (tag !== `v${version}`) found.push(`the tag is ${tag}, the version in package.json ${version}`);
  const heading = changelog.split('\n').find((line) => line.startsWith(`## ${version}`));
  if (!/ \d{4}-\d{2}-\d{2}$/.test(heading ?? '')) {
    found.push(`CHANGELOG.md has no heading "## ${version}, YYYY-MM-DD"`);
  }
  const texts = { 'package.json': manifest, 'SECURITY.md': security, 'README.md': readme };
  for (const [name, text] of Object.entries(texts)) {
    if (/\/OWNER\b/.test(text))
      found.push(`${name} names the repository's account OWNER, which stands for the real one`);
  }
  return found;
}

if (process.argv[1] === import.meta.filename) {
  const read = (name) => readFileSync(new URL(`../${name}`, import.meta.url), 'utf8');
  const found = problems(process.argv[2], {
    manifest: read('package.json'),
    changelog: read('CHANGELOG.md'),
    security: read('SECURITY.md'),
    readme: read('README.md'),
  });
  for (const problem of found) console.error(problem);
  process.exitCode = found.length > 0 ? 1 : 0;
}
