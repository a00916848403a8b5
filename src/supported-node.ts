/** The major version of Node that the library needs. */
const LEAST = 20;

// Imported before all others: an older Node would fail somewhere in them, with a word that says nothing.
const { node } = process.versions;
if (Number.parseInt(node, 10) < LEAST) {
  throw new Error(
    `usingpg needs Node.js ${String(LEAST)} or later, and this is Node.js ${node}: install a current version from https://nodejs.org`,
  );
}
