const { AsyncConnection, adapters } = require('usingpg');
module.exports = { AsyncConnection, adapters };
