// A program whose parts are of both kinds, as its dependencies make most of them.
import { AsyncConnection, adapters } from 'usingpg';
import required from './required.cjs';
import { program } from './program.mjs';

const same = required.AsyncConnection === AsyncConnection && required.adapters === adapters;
program(process.env.DSN).then((done) => console.log(same ? done : 'there are two of each class'));
