// A store of each test's own.
'use strict';

const { mkdtempSync, rmSync } = require('node:fs');
const { tmpdir } = require('node:os');
const path = require('node:path');
const { Store } = require('..');

/** A folder that goes at the end of the test. */
exports.folder = (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'strongroom-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
};

exports.options = (folder, more) => ({ keys: { keyFile: path.join(folder, 'root-key') }, ...more });

/** A store with one tenant, closed at the end of the test. */
exports.store = (t, more) => {
  const folder = exports.folder(t);
  const store = Store.createSync(path.join(folder, 'data'), exports.options(folder, more));
  t.after(() => store.closeSync());
  return { folder, store, tenant: store.createTenantSync('acme') };
};

exports.kind = (kind) => (error) => error.kind === kind && error.message.length > 10;
