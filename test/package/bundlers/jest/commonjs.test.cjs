const usingpg = require('usingpg');
const steps = require('./steps.cjs');

test('require()', () => steps(usingpg, expect));
