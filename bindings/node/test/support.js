// A store of each test's own.
'use strict';

const { mkdtempSync, rmSync } = require('node:fs');
const { tmpdir } = require('node:os');
const path = require('node:path');
const { Store } = require('..');

const folders = [];
// Stores are closed by then: one that is open writes.
process.on('exit', () => folders.forEach((folder) => rmSync(folder, { recursive: true, force: true })));

/** A folder that goes when the tests of the file are over. */
exports.folder = () => {
  folders.push(mkdtempSync(path.join(tmpdir(), 'strongroom-')));
  return folders.at(-1);
};

exports.options = (folder, more) => ({ keys: { keyFile: path.join(folder, 'root-key') }, ...more });

/** A store with one tenant, closed at the end of the test. */
exports.store = (t, more) => {
  const folder = exports.folder();
  const store = Store.createSync(path.join(folder, 'data'), exports.options(folder, more));
  t.after(() => store.closeSync());
  return { folder, store, tenant: store.createTenantSync('acme') };
};

exports.kind = (kind) => (error) => error.kind === kind && error.message.length > 10;
