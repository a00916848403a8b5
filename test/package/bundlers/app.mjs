import { program } from './program.mjs';

program(process.env.DSN).then(console.log);
