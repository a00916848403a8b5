/** Makes docs/reference of the docstrings: `npm run docs:reference`. */
import { writeReference } from './reference.js';

await writeReference();
